"""CPU seconds of each command on a log of 2,400 rows, and what it imports: `python -m tests.benchmarks.bench_startup`.

The second number is what the imports take by `python -X importtime`, which slows them down by about a tenth; then the
packages whose own modules take longest.
"""

import tempfile
from pathlib import Path

from tests.startup import heaviest_imports, prepare_folder, start

COMMANDS = {
    "--help": ["--help"],
    "--version": ["--version"],
    "schema": ["schema"],
    "init": ["init", "train.parquet", "--label", "click"],
    "check": ["check", "run.yaml"],
    "check, hash": ["check", "hashed.yaml"],
    "tables": ["tables", "run.yaml"],
    "plan": ["plan", "run.yaml"],
    "train": ["train", "run.yaml", "--device", "cpu"],
    "evaluate": ["evaluate", "runs/one", "test.parquet", "--device", "cpu"],
    "export": ["export", "runs/one", "--out", "bundle-2"],
    "predict": ["predict", "bundle", "test.parquet", "--out", "scores.parquet"],
    "checkpoint": ["checkpoint", "inspect", "runs/one"],
    "demo-data": ["demo-data", "demo", "--rows", "2000"],
}


def main() -> None:
    """Measure every command."""
    print(f"{'command':<12} {'CPU s':>6} {'imports':>8}  heaviest")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare_folder(folder)
        for command, argv in COMMANDS.items():
            seconds = start(argv, folder).cpu_seconds
            imports = heaviest_imports(start([*argv], folder, with_times=True).importtime, count=99)
            shown = ", ".join(f"{name} {value:.2f}" for value, name in imports[:6])
            print(f"{command:<12} {seconds:6.2f} {sum(value for value, _ in imports):8.2f}  {shown}")


if __name__ == "__main__":
    main()
