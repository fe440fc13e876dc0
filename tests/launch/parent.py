"""Runs `launch` over the workers of worker.py, one for each argument."""

import sys
from pathlib import Path

from recsys.launch import launch, workers

workers.PROGRAM = (sys.executable, str(Path(__file__).with_name("worker.py")))

if __name__ == "__main__":
    sys.exit(launch(sys.argv[1:], len(sys.argv) - 1, go_on=lambda code: f"again {code}"))
