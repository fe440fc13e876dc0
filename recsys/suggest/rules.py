"""Suggest a feature for a single column, or say why a model should not see it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from recsys.config.feature_types import FEATURE_TYPES, FeatureSection
from recsys.features.column_profile import ColumnProfile
from recsys.features.types import Offer, handler_class

__all__ = ["Suggestion", "offers_for", "suggest_column"]

_OUTCOME_NAME = re.compile(
    r"^(is_|has_)?(click|clicked|buy|bought|purchase|purchased|converted|conversion|label|target)$"
)
_DECIMAL_COMMAS = "numbers must be written with a point, as 12.5 is, and not with a comma"
_UNIQUE_SHARE = 0.9
_UNIQUE_ROWS = 100
_SURE_LEAK = 0.99


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """A line of the features section, or the reason why there is none."""

    name: str
    """Name of the feature: the column's, unless columns had no names."""
    column: ColumnProfile
    spec: Mapping[str, object]
    """Keys and values of the feature; {} when there is none to suggest."""
    note: str = ""
    """Reason for the suggestion, where it is not plain."""
    left_out: bool = False

    @property
    def section(self) -> type[FeatureSection]:
        """Section of the suggested type; that of no type in particular if there is no suggestion."""
        return FEATURE_TYPES[str(self.spec["type"])] if self.spec else FeatureSection


def suggest_column(column: ColumnProfile, *, leak: float | None = None) -> Suggestion:
    """Suggest a feature for one column: that of the type which is most confident.

    Lists become ids, for it takes other columns to see what they are histories of (`recsys.suggest.sequences`).

    Args:
        column: profile of the column.
        leak: AUC of this column alone, if known.
    """
    if column.has_decimal_commas:
        return Suggestion(name=column.name, column=column, spec={}, note=_DECIMAL_COMMAS, left_out=True)
    offer = next(iter(offers_for(column)), None)
    reason = _reason_to_leave_out(column, offer, leak)
    spec = {} if offer is None else offer.spec
    if reason is not None:
        return Suggestion(name=column.name, column=column, spec=spec, note=reason, left_out=True)
    note = _no_offer(column) if offer is None else offer.note
    return Suggestion(name=column.name, column=column, spec=spec, note=note, left_out=offer is None)


def offers_for(column: ColumnProfile) -> list[Offer]:
    """Return what the types offer that can read the values seen, the most confident first, of equal ones in order."""
    offers = [handler_class(section).suggest(column) for section in FEATURE_TYPES.values()]
    known = [offer for offer in offers if offer is not None and offer.spec["type"] not in column.refused]
    return sorted(known, key=lambda offer: -offer.confidence)


def _no_offer(column: ColumnProfile) -> str:
    if column.refused:
        return list(column.refused.values())[-1]
    is_fractions = column.is_list and column.numeric and not column.is_whole
    return f"there is no feature type for {'lists of fractions' if is_fractions else column.type.described()}"


def _reason_to_leave_out(column: ColumnProfile, offer: Offer | None, leak: float | None) -> str | None:
    filled = column.num_rows - column.num_nulls
    if not column.type.is_readable:
        return _no_offer(column)
    if filled == 0 or column.type.is_untyped:
        return "no values"
    if column.num_distinct + (column.num_nulls > 0) <= 1 and not column.is_list:
        return "the same value in every row"
    if leak is not None and max(leak, 1 - leak) >= _SURE_LEAK:
        return f"alone it ranks the labels with AUC {max(leak, 1 - leak):.3f}: is it known before the click?"
    if column.num_distinct <= 2 and _OUTCOME_NAME.search(column.name):
        return "looks like an outcome: is it known before the click?"
    is_unique = filled >= _UNIQUE_ROWS and column.num_distinct >= _UNIQUE_SHARE * filled
    if is_unique and column.kind in ("int", "text") and offer is not None and not offer.sees_repetition:
        return "nearly every row has a value of its own, which says nothing about other rows"
    return None
