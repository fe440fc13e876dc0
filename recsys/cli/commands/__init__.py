"""One file for each command: its arguments, its help, and the call that does the work.

Nothing here imports polars or torch before a command runs, so that `recsys --help` is quick.
"""

from recsys.cli.commands.check import check
from recsys.cli.commands.checkpoint import checkpoint
from recsys.cli.commands.compare import compare
from recsys.cli.commands.compare_schemes import compare_schemes
from recsys.cli.commands.demo_data import demo_data
from recsys.cli.commands.doctor import doctor
from recsys.cli.commands.evaluate import evaluate
from recsys.cli.commands.export import export
from recsys.cli.commands.importance import importance
from recsys.cli.commands.init import init
from recsys.cli.commands.plan import plan
from recsys.cli.commands.predict import predict
from recsys.cli.commands.rank import rank
from recsys.cli.commands.schema import schema
from recsys.cli.commands.search import search
from recsys.cli.commands.serve import serve
from recsys.cli.commands.tables import tables
from recsys.cli.commands.train import train

__all__ = [
    "check",
    "checkpoint",
    "compare",
    "compare_schemes",
    "demo_data",
    "doctor",
    "evaluate",
    "export",
    "importance",
    "init",
    "plan",
    "predict",
    "rank",
    "schema",
    "search",
    "serve",
    "tables",
    "train",
]
