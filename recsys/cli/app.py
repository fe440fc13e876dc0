"""The program `recsys`: its table of commands, and what happens when one of them fails."""

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from recsys import __version__
from recsys.api.quiet import hide_package_warnings
from recsys.cli import commands
from recsys.cli.interrupts import end_as_interrupted, handling_interrupts, raising_interrupts, was_interrupted
from recsys.cli.streams import safe_streams
from recsys.console import log
from recsys.launch.failure import Failure, is_launched, report_to_launcher
from recsys.reasons import user_message

__all__ = ["COMMANDS", "app", "main"]

COMMANDS: dict[str, Callable[..., Any] | typer.Typer] = {
    "init": commands.init,
    "check": commands.check,
    "tables": commands.tables,
    "plan": commands.plan,
    "train": commands.train,
    "evaluate": commands.evaluate,
    "compare": commands.compare,
    "importance": commands.importance,
    "export": commands.export,
    "predict": commands.predict,
    "rank": commands.rank,
    "serve": commands.serve,
    "compare-schemes": commands.compare_schemes,
    "search": commands.search,
    "checkpoint": commands.checkpoint,
    "demo-data": commands.demo_data,
    "doctor": commands.doctor,
    "schema": commands.schema,
}
"""Every command, in the order of `recsys --help`; a `Typer` has commands of its own."""

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, rich_markup_mode="markdown"
)
for name, command in COMMANDS.items():
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"recsys {__version__}")
        raise typer.Exit


@app.callback()
def recsys(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Train, evaluate and export click-through-rate models that one YAML file describes.

    Example: `recsys init data/train.parquet --label click > mine.yaml`, then `recsys train mine.yaml`
    """


def main() -> None:
    """Run the command line; an error that the user can mend ends with its message and exit code 2."""
    hide_package_warnings()
    with safe_streams(), handling_interrupts():
        try:
            _run()
        except KeyboardInterrupt:
            end_as_interrupted()
        except Exception as error:
            message = user_message(error)
            if message is None:
                raise
            _refuse(message)


def _run() -> None:
    with raising_interrupts():
        try:
            app()
        except SystemExit as stop:
            if stop.code in (1, 130) and was_interrupted():  # codes that libraries end with after Ctrl-C
                raise KeyboardInterrupt from stop
            raise
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a full disk can still be told


def _refuse(message: str) -> NoReturn:
    if is_launched() and report_to_launcher(Failure(int(os.environ["RANK"]), message, 2)):
        sys.exit(2)
    log(f"error: {message}", style="red")
    sys.exit(2)
