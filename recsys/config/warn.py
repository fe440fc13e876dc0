"""What can be trained, but will hardly do what its author hopes: said once, before training."""

from recsys.config.plan import Plan, PlannedTable
from recsys.config.problems import Problem

__all__ = ["warnings_of"]


def warnings_of(plan: Plan) -> list[str]:
    """Return what a user should know of a plan, each as "FILE:LINE: tables.items: text"."""
    problems = []
    for table in plan.tables:
        if plan.config.train.regularization.rows and not table.spec.has_rows:
            text = f"train.regularization.rows has no effect on it: scheme {table.spec.scheme} has no rows of floats"
            problems.append(Problem(("tables", table.name), text))
        if plan.config.model.reads_alike and _is_shared(plan, table):
            tower = plan.config.model.tower
            text = (
                f"its features share rows (scheme {table.spec.scheme}), and tower {tower} reads all features alike: "
                "it cannot tell ids of two features apart that fall on one row, as a tower with weights for each "
                "feature learns to (mlp, autoint, din); give each feature a table of its own, or take such a tower"
            )
            problems.append(Problem(("tables", table.name), text))
    located = [plan.config.source.locate(problem) for problem in problems]
    return [f"{found.place}: {found.text}" if found.place else found.text for found in located]


def _is_shared(plan: Plan, table: PlannedTable) -> bool:
    is_shared = table.spec.shares_rows and not getattr(table.spec, "separate", False)
    return is_shared and len(plan.vocabularies_in(table)) > 1
