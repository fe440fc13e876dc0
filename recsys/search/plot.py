"""pareto.png: the AUC of every candidate against its bytes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from recsys.judging.pareto import Point, Series, draw_pareto
from recsys.search.candidate import Measured

__all__ = ["draw"]


def draw(
    path: Path,
    *,
    candidates: Sequence[Measured],
    front: Sequence[Measured],
    trained: Sequence[Measured],
    baseline: Measured,
    half_widths: Mapping[str, float],
    budget: int | None,
) -> None:
    """Draw the candidates and their front, the models that were trained, the baseline and the budget.

    Args:
        path: file of the picture.
        candidates: all that were measured; those of a supernet have its AUC, not that of a model of their own.
        front: those that no other beats, the smallest first.
        trained: models that were trained.
        baseline: the model of the user's configuration as it is.
        half_widths: by the name of a trained model, half the 95 % interval of its difference to the baseline: a bar
            that does not reach the line of the baseline is a significant difference.
        budget: bytes that were asked for.
    """
    kind = "candidate, on the supernet" if any(one.source == "supernet" for one in candidates) else "trial"
    models = [Point(one.name, one.serving_bytes, one.auc, half_widths.get(one.name, 0.0)) for one in trained]
    draw_pareto(
        path,
        [Series([_point(one) for one in candidates], kind, is_muted=True), Series(models, "trained")],
        front=[_point(one) for one in front],
        reference=Series([Point("as it is", baseline.serving_bytes, baseline.auc)], "as it is, trained"),
        budgets=[] if budget is None else [budget],
        x_label="bytes of the tables as they are served",
        y_label="validation AUC (bars: 95 % of the difference to as it is)",
    )


def _point(one: Measured) -> Point:
    return Point(one.name, one.serving_bytes, one.auc)
