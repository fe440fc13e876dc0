"""`type: number`: a float a row, scaled."""

from typing import ClassVar, Literal

from recsys.config.feature_types.base import ColumnSection, InputForm, Kind

__all__ = ["NumberFeature", "NumberTransform"]

NumberTransform = Literal["none", "log1p", "log_squared"]


class NumberFeature(ColumnSection):
    """A numeric column. Null, NaN and infinities are missing; a missing number becomes 0 after normalizing."""

    implementation: ClassVar[str | type] = "recsys.features.types.number:Number"
    exported: ClassVar[str] = "recsys.export.types.number:ExportedNumber"
    kind: ClassVar[Kind] = "number"
    input: ClassVar[InputForm | None] = "float64"

    type: Literal["number"]
    transform: NumberTransform = "none"
    """log1p: sign(x) log(1 + |x|). log_squared: log(x)^2 above 2, else x (AutoInt)."""
    normalize: Literal["none", "standard", "minmax"] = "none"
    """standard: mean 0, variance 1 on the training split; minmax: clipped to [0, 1]."""
