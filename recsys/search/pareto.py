"""pareto.csv: every candidate of a search, for programs."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from recsys.config.problems import KeyPath, spell
from recsys.files import to_json
from recsys.search.candidate import Measured

__all__ = ["COLUMNS", "ParetoRow", "pareto_csv"]

COLUMNS = (
    "name",
    "source",
    "serving_bytes",
    "training_bytes",
    "valid_auc",
    "valid_auc_low",
    "valid_auc_high",
    "seconds",
    "on_front",
    "yaml",
    "changes",
)


class ParetoRow(NamedTuple):
    """A candidate and its place among the others."""

    measured: Measured
    changes: Mapping[KeyPath, Any]
    """Sections of tables and other keys that its YAML file sets."""
    on_front: bool
    yaml: str = ""
    """Path of its YAML file in the folder of the search; "" if there is none."""


def pareto_csv(rows: Iterable[ParetoRow]) -> str:
    """Return a CSV with a line for each candidate, the smallest first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in sorted(rows, key=lambda row: (row.measured.serving_bytes, row.measured.name, row.measured.source)):
        measured = row.measured
        writer.writerow(
            (
                measured.name,
                measured.source,
                measured.serving_bytes,
                measured.training_bytes,
                measured.auc,
                measured.auc_low,
                measured.auc_high,
                round(measured.seconds, 3),
                int(row.on_front),
                row.yaml,
                to_json({spell(path): value for path, value in row.changes.items()}),
            )
        )
    return text.getvalue()
