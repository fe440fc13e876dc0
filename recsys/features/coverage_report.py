"""Lines about coverage: warnings about columns that tell the model nothing, and what else is worth knowing."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from recsys.config.resolved import ResolvedConfig
from recsys.features.coverage import Coverage

__all__ = ["coverage_lines", "coverage_report", "coverage_table", "coverage_warnings", "name_files"]

NEARLY_ALL = 0.95
"""Share of unknown values from which a warning is due.

Unknown values are usual: on a later day a third of the users may be new, or most of them. From here on the model knows
the value of less than one row in 20, so that the column is as good as absent. Values that are written otherwise than in
training (12.0 for 12) are all unknown but for what is equal by chance, such as missing ones.
"""
FEWEST = 20
"""Number of values below which nothing is said: of fewer, one is more than the 5 % that are left."""
HIGH = 0.1
"""Share from which a feature has a line. The run folder has all shares."""
FEW_MATCHING = 0.5
"""Share of the entries of a history that are values of its item below which the feature has a line."""
WORTH_SAYING = {"unknown": NEARLY_ALL, "missing": 1.0, "truncated": math.inf}
"""Shares that lines show, each with the share from which a warning says it."""


def coverage_report(
    by_split: Mapping[Any, Mapping[str, Coverage]], resolved: ResolvedConfig, *, prefix: str = ""
) -> Iterator[str]:
    """Yield a line for each feature of which something is worth saying, then the warnings.

    Args:
        by_split: what was counted, by split or by whatever names the rows.
        resolved: the features.
        prefix: what precedes the name of a split in a warning, such as "data.".
    """
    yield from coverage_lines(by_split, resolved)
    for split, coverage in by_split.items():
        for warning in coverage_warnings(coverage, resolved, is_training=split == "train"):
            yield f"warning: {prefix}{split}: {warning}"


def coverage_lines(by_split: Mapping[Any, Mapping[str, Coverage]], resolved: ResolvedConfig) -> Iterator[str]:
    """Yield a line for each feature with many unknown or missing values or cut lists; warnings say the rest."""
    for name in dict.fromkeys(name for coverage in by_split.values() for name in coverage):
        found = {split: coverage[name] for split, coverage in by_split.items() if name in coverage}
        said = [said for count, limit in WORTH_SAYING.items() if (said := _where_high(count, limit, found))]
        matching = [one.share("matching") for one in found.values() if one.entries]
        if matching and 1 - NEARLY_ALL < matching[0] < FEW_MATCHING:
            said.append(f"{_percent(matching[0])} of its entries are values of {resolved.features[name].owner(name)}")
        if said:
            yield f"{name}: {'; '.join(said)}"


def _where_high(count: str, below: float, found: Mapping[Any, Coverage]) -> str:
    """Say in which splits a share is high, such as "unknown 31 % of valid, 33 % of test"; "" if in none."""
    shares = {split: coverage.share(count) for split, coverage in found.items()}
    high = [f"{_percent(share)} of {split}" for split, share in shares.items() if HIGH <= share < below]
    return f"{count} {', '.join(high)}" if high else ""


def coverage_warnings(
    coverage: Mapping[str, Coverage], resolved: ResolvedConfig, *, is_training: bool = False
) -> Iterator[str]:
    """Yield what is wrong with columns that tell the model nothing.

    Args:
        coverage: what was counted in some rows, by feature.
        resolved: the features.
        is_training: the rows are those that the vocabularies were learned from.
    """
    for name, found in coverage.items():
        if found.rows >= FEWEST and found.missing == found.rows:
            yield f"{_named(name, resolved)} has no value in any of {found.rows:,} rows"
        elif found.values >= FEWEST and found.share("unknown") >= NEARLY_ALL:
            remedy = (
                "see its min_count, max_size or vocabulary"
                if is_training
                else "values must be written as in the training rows (12.0 is not 12)"
            )
            yield (
                f"{_percent(found.share('unknown'))} of the values of {_named(name, resolved)} are unknown, for its "
                f"vocabulary does not hold them; {remedy}"
            )
        elif found.entries >= FEWEST and found.share("matching") <= 1 - NEARLY_ALL:
            some = f"only {_percent(found.share('matching'))} of the entries" if found.matching else "no entry"
            yield (
                f"{some} of {_named(name, resolved)} {'are values' if found.matching else 'is a value'} of "
                f"{resolved.features[name].owner(name)}, of which it is a history; compare how both are written, and "
                "the separator"
            )


def coverage_table(by_split: Mapping[Any, Mapping[str, Coverage]]) -> pl.DataFrame:
    """Return the shares as a table: a row for each split and feature; null of nothing."""
    names = ["unknown", "missing", "truncated", "matching"]
    rows = [(split, name, *one.shares().values()) for split, of in by_split.items() for name, one in of.items()]
    schema = {"split": pl.String, "feature": pl.String} | dict.fromkeys(names, pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row")


def name_files(paths: Sequence[Path]) -> str:
    """Name files in a message.

    >>> name_files([Path("a.csv"), Path("b.csv"), Path("c.csv")])
    'a.csv and 2 other files'
    """
    others = len(paths) - 1
    return f"{paths[0]}{f' and {others} other file' + 's' * (others > 1) if others else ''}"


def _named(name: str, resolved: ResolvedConfig) -> str:
    column = resolved.features[name].column_of(name)
    return name if column in (name, None) else f"{name} (column {column})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
