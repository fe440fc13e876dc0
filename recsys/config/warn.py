"""Warn of configurations that can be trained, but will hardly do what their authors hope."""

from recsys.config.problems import Problem
from recsys.config.resolved import ResolvedConfig

__all__ = ["warnings_of"]


def warnings_of(resolved: ResolvedConfig) -> list[str]:
    """Return what a user should know before training, each as "FILE:LINE: tables.items: text"."""
    problems = []
    penalty = resolved.config.train.regularization
    for table in resolved.tables:
        is_asked_for = penalty.rows and "rows" in penalty.model_fields_set
        if is_asked_for and not table.spec.has_rows:
            text = f"train.regularization.rows has no effect on it: scheme {table.spec.scheme} has no rows of floats"
            problems.append(Problem(("tables", table.name), text))
        is_shared = table.spec.rows_are_shared and len(resolved.vocabularies_in(table)) > 1
        if resolved.config.model.reads_alike and is_shared:
            tower = resolved.config.model.tower
            text = (
                f"its features share rows (scheme {table.spec.scheme}), and tower {tower} reads all features alike: "
                "it cannot tell ids of two features apart that fall on one row, as a tower with weights for each "
                "feature learns to (mlp, autoint, din); give each feature a table of its own, or take such a tower"
            )
            problems.append(Problem(("tables", table.name), text))
    located = [resolved.config.source.locate(problem) for problem in problems]
    return [f"{found.location}: {found.text}" if found.location else found.text for found in located]
