"""The base of the sections of all schemes: the keys of a table, and the facts that others ask about a scheme."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from recsys.config.budget import Budget
from recsys.config.limits import Count, Dim, Share
from recsys.config.problems import KeyPath
from recsys.config.section import CLASS_PATH, CustomSection, Section

__all__ = [
    "Count",
    "CustomTable",
    "IntegerSection",
    "PlainRows",
    "RowPlace",
    "RowPrecision",
    "ServedPrecision",
    "Share",
    "Sharding",
    "SizedTable",
    "TableSection",
    "WEIGHT_BYTES",
    "check_parts",
]

Sharding = Literal["table_wise", "row_wise", "column_wise", "table_row_wise", "grid"]
"""The way in which devices share a table. table_wise: one device holds it; row_wise: all devices, by rows; column_wise:
several devices, by columns; table_row_wise: the devices of one host, by rows; grid: hosts by columns, their devices by
rows."""
RowPlace = Literal["hbm", "uvm", "uvm_caching"]
RowPrecision = Literal["fp32", "fp16"]
WEIGHT_BYTES: Mapping[RowPrecision, int] = {"fp32": 4, "fp16": 2}
"""Bytes of one weight of the rows."""
ServedPrecision = Literal["fp32", "fp16", "int8"]
"""Precision of the rows in an exported model; int8: codes of 8 bits, with a scale and an offset for each row."""


class TableSection(Section):
    """Base of the sections of all schemes.

    A subclass states its name as `scheme: Literal["name"]`, and the facts below wherever they differ. Whoever needs to
    know one asks the section: the scheme's class states none of them again.
    """

    takes_open: ClassVar[bool] = False
    """Whether features with an open vocabulary (any int64 key) may be in such a table."""
    shares_rows: ClassVar[bool] = False
    """Whether features of such a table read the same rows, unless it has a key `per_feature` that is set."""
    has_rows: ClassVar[bool] = True
    """Whether it keeps rows of floats, which can be sharded, placed, and penalized by `train.regularization.rows`."""
    size_param: ClassVar[str | None] = None
    """The key that sets the size of the table, from whose candidates a `budget` chooses; None if it has one size."""
    num_stages: ClassVar[int] = 1
    """Stages of training, of an epoch at least. All but the last take half of the epochs at most."""
    needs_whole_tables: ClassVar[bool] = False
    """Whether training looks at whole tables: each lies on one rank, all of a scheme on the same."""
    takes_fp16: ClassVar[bool] = True
    """Whether its rows may have 16 bits."""
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Other forms worth comparing in the scheme benchmark: name -> keys."""
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": {}}
    """Keys of tables that the contract suite of `recsys.testing` builds, small enough for 20 ids: name -> keys."""
    renamed: ClassVar[Mapping[str, str]] = {"shard": "sharding", "separate": "per_feature"}

    if TYPE_CHECKING:
        scheme: str  # each section states its own Literal

    features: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names or globs of the features whose ids this table holds."""
    dim: Dim | None = None
    """Width of one embedding, in floats; `model.dim` when not given. FBGEMM reads multiples of 4."""
    sharding: Sharding | None = None
    """Division of the rows among devices; the one estimated to be fastest when not given. One device has all."""
    placement: RowPlace | None = None
    """Memory in which a CUDA device keeps rows: its own, the host's, or the host's with a cache; hbm when not given."""
    precision: RowPrecision = "fp32"
    """Precision of the rows; fp16 halves them, while all computation and the optimizer's state stay fp32."""

    @property
    def rows_are_shared(self) -> bool:
        """Whether features read the same rows in a table with these keys."""
        return self.shares_rows and not getattr(self, "per_feature", False)

    @property
    def weight_bytes(self) -> int:
        """Bytes of one weight of the rows."""
        return WEIGHT_BYTES[self.precision]

    @property
    def served_precision(self) -> RowPrecision:
        """Precision of the rows when they are served."""
        return self.precision

    @property
    def serving_weight_bytes(self) -> int:
        """Bytes of one weight of the rows when they are served."""
        return WEIGHT_BYTES[self.served_precision]

    @classmethod
    def needed_keys(cls) -> list[str]:
        """Return the keys that a table of the scheme must state and that no budget stands for."""
        others = ("features", "scheme")
        return [key for key, field in cls.model_fields.items() if field.is_required() and key not in others]

    def known_bytes(self, num_ids: Sequence[int | None], dim: int) -> int | None:  # noqa: ARG002
        """Return the bytes of the served table where that takes no more than arithmetic, else None.

        Args:
            num_ids: sizes of the vocabularies that the table holds; None for an open one.
            dim: width of an embedding.
        """
        return None

    def check_dim(self, dim: int) -> Iterator[tuple[KeyPath, str]]:  # noqa: ARG002
        """Yield what is wrong with the keys of a table whose width is `dim`: the path in the section and the rule."""
        yield from ()

    def embedding_dim(self, feature: str, dim: int) -> int:  # noqa: ARG002
        """Return the width of a feature's embedding in a table whose width is `dim`."""
        return dim

    def named_features(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield the features that keys other than `features` name, with the path in the section."""
        yield from ()


def _either_size(schema: dict[str, Any], section: type["SizedTable"]) -> None:
    """Tell editors what `_one_size` demands."""
    if section.size_param is not None:
        schema["oneOf"] = [{"required": [section.size_param]}, {"required": ["budget"]}]


class PlainRows(TableSection):
    """Base of the sections of schemes that serve rows as they were trained, which may have another precision then."""

    serving_precision: RowPrecision | None = None
    """Precision of the rows when they are served, that of training when not given. They are rounded to it before each
    validation, so that all figures are those of the served model."""

    @property
    def served_precision(self) -> RowPrecision:
        return self.serving_precision or self.precision


class SizedTable(TableSection):
    """Base of the sections that take a budget in place of their size parameter."""

    model_config = ConfigDict(json_schema_extra=_either_size)

    budget: Budget | None = None
    """Bytes of the table when it is served ("10MB"), or a fraction of the full table's (0.1)."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.size_param is not None:
            given = [key for key in (self.size_param, "budget") if getattr(self, key) is not None]
            if len(given) != 1:
                got = "both" if given else "neither"
                raise ValueError(
                    f"needs either {self.size_param} or budget (such as 10MB, or 0.1 of the full table), got {got}"
                )
        return self


class IntegerSection(SizedTable):
    """Base of the sections of tables of integers with one fixed scale, whose size follows from their bits."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.integer:Integer"
    has_rows: ClassVar[bool] = False
    bits: ClassVar[Literal[8, 16]]
    """Bits of one integer."""

    if TYPE_CHECKING:
        scale: float


class CustomTable(TableSection, CustomSection):
    """A scheme of your own, named `package.module:Class`, that has no section; its other keys are passed on."""

    takes_open: ClassVar[bool] = True

    scheme: Annotated[str, Field(pattern=CLASS_PATH)]

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        yield from (((key,), f"is now called {new}") for key in self.parameters() if (new := self.new_name(key)))


def check_parts(parts: int | None, dim: int) -> Iterator[tuple[KeyPath, str]]:
    """Yield that a table's width cannot be cut into parts of one width."""
    if dim % (parts or dim):
        yield ("parts",), f"must divide dim ({dim}), got {parts}"
