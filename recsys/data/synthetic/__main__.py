"""`python -m recsys.data.synthetic LOG RUN`: how much of what can be known of a log a run has learned."""

import argparse
import json
import sys
from pathlib import Path

from recsys.run_folder import RunFolder


def main() -> int:
    """Print the share of the way from AUC 0.5 to the best one possible; 1 if it is below --at-least."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path, help="folder made by `recsys demo-data`")
    parser.add_argument("run", type=Path, help="folder of a run on it")
    parser.add_argument("--at-least", type=float, default=0.95)
    options = parser.parse_args()
    best = json.loads((options.log / "truth.json").read_text())["splits"]["test"]["auc"]
    reached = RunFolder(options.run).read_metrics()["test.auc"]
    share = (reached - 0.5) / (best - 0.5)
    print(f"test AUC {reached:.4f}; the best possible is {best:.4f}: {share:.1%} of the way from 0.5")
    return 0 if share >= options.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
