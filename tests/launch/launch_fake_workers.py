"""Runs `launch` with fake_worker.py in the place of `recsys train`, one process for each argument."""

import sys
from pathlib import Path

from recsys.launch import launch, workers

workers.PROGRAM = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))

if __name__ == "__main__":
    sys.exit(launch(sys.argv[1:], len(sys.argv) - 1, resume_command=lambda code: f"again {code}").code)
