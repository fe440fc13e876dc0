"""How embedding tables are shaped: one frozen model for each scheme.

A scheme that compresses has one key that sets its size (its *knob*: rows, divisor, rank, ...); `budget` may stand in
its place, and is then solved to the knob when the sizes of the vocabularies are known.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from recsys.config.budget import Budget
from recsys.config.section import CLASS_PATH, CUSTOM, Dim, Section, chosen_by, tag

__all__ = [
    "AdaptEmbTable",
    "AlptTable",
    "CustomTable",
    "DedupTable",
    "DeepLightTable",
    "DheTable",
    "DpqTable",
    "FullTable",
    "HashTable",
    "Int16Table",
    "Int8Table",
    "MdTable",
    "MgqeTable",
    "MultiHashTable",
    "QrTable",
    "RobeTable",
    "RowPlace",
    "RowPrecision",
    "Sharding",
    "Table",
    "TtRecTable",
    "UnifiedTable",
    "table_sections",
]

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Sharding = Literal["table_wise", "row_wise", "column_wise", "table_row_wise", "grid"]
"""table_wise: whole on one device; row_wise: rows dealt to all; column_wise: columns dealt to some;
table_row_wise: rows dealt to the devices of one host; grid: columns dealt to hosts, there rows to devices."""
RowPlace = Literal["hbm", "uvm", "uvm_caching"]
RowPrecision = Literal["fp32", "fp16"]


class _Table(Section):
    takes_open: ClassVar[bool] = False
    """Whether features with an open vocabulary may be in such a table."""
    shares_rows: ClassVar[bool] = False
    """Whether features of such a table read the same rows, unless they are `separate`."""
    has_rows: ClassVar[bool] = True
    """Whether it keeps rows of floats, which `train.regularization.rows` could penalise."""
    knob: ClassVar[str | None] = None
    """The key that sets the size of the table, in whose place `budget` may stand."""
    num_stages: ClassVar[int] = 1
    """Stages in which the table is trained, each of which takes an epoch at least."""
    whole: ClassVar[bool] = False
    """Whether its training looks at the whole table, which therefore lies on one device."""
    takes_fp16: ClassVar[bool] = True
    """Whether its rows may have 16 bits."""

    features: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names or globs of the features whose ids this table holds."""
    dim: Dim | None = None
    """Width of one embedding, in floats; `model.dim` when not given. FBGEMM reads multiples of 4."""
    shard: Sharding | None = None
    """How several devices share the rows; what is estimated to be fastest when not given. One device has it all."""
    placement: RowPlace | None = None
    """Where a CUDA device keeps its rows: in its memory, the host's, or the host's with a cache; hbm when not given."""
    precision: RowPrecision = "fp32"
    """Of the rows; fp16 halves them, while what is computed from them and the optimiser's state stay fp32."""


def _either_size(schema: dict[str, Any], section: type["_Sized"]) -> None:
    """Tell editors what `_one_size` demands."""
    if section.knob is not None:
        schema["oneOf"] = [{"required": [section.knob]}, {"required": ["budget"]}]


class _Sized(_Table):
    model_config = ConfigDict(json_schema_extra=_either_size)

    budget: Budget | None = None
    """Bytes of the table when it is served ("10MB"), or a fraction of the full table's (0.1)."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.knob is not None:
            given = [key for key in (self.knob, "budget") if getattr(self, key) is not None]
            if len(given) != 1:
                got = "both" if given else "neither"
                raise ValueError(
                    f"needs either {self.knob} or budget (such as 10MB, or 0.1 of the full table), got {got}"
                )
        return self


class FullTable(_Table):
    """One row for each id of the vocabulary: no collisions, no compression."""

    scheme: Literal["full"] = "full"


class HashTable(_Sized):
    """`rows` rows; ids that agree modulo `rows` share one (Weinberger et al. 2009)."""

    takes_open: ClassVar[bool] = True
    shares_rows: ClassVar[bool] = True
    knob: ClassVar[str | None] = "rows"

    scheme: Literal["hash"]
    rows: Count | None = None
    """Rows of the table, whatever the size of the vocabulary."""
    hashing: Literal["modulo", "random"] = "modulo"
    """Of ids of a vocabulary: modulo spreads them evenly; random scrambles them, as keys without one always are."""
    separate: bool = False
    """Deal the rows to the features in proportion to their vocabularies, instead of sharing them."""


class UnifiedTable(_Sized):
    """One table for all its features: each reads it under hashes of its own (Coleman et al. 2023)."""

    takes_open: ClassVar[bool] = True
    shares_rows: ClassVar[bool] = True
    knob: ClassVar[str | None] = "rows"

    scheme: Literal["unified"]
    rows: Count | None = None
    """Rows of the table; of all its tables together with `num_tables`."""
    lookups: Count | dict[str, Count] = 1
    """Rows that make one embedding, laid side by side: its width is lookups * dim. By feature, or for all of them."""
    probes: Count = 1
    """Cut each row in so many narrower ones, each hashed by itself: the same bytes and width, fewer full collisions."""
    exact_below: Annotated[int, Field(ge=0)] = 5
    """Vocabularies of at most so many ids keep rows of their own."""
    num_tables: Count = 1
    """Deal the rows to so many equal tables, for sharding."""


class MultiHashTable(_Sized):
    """The sum of several hashed rows, weighted by id if asked (hash embeddings, Svenstrup et al. 2017)."""

    takes_open: ClassVar[bool] = True
    shares_rows: ClassVar[bool] = True
    knob: ClassVar[str | None] = "rows"

    scheme: Literal["multi_hash"]
    rows: Count | None = None
    """Rows of the pool."""
    hashes: Annotated[int, Field(ge=2, le=4)] = 2
    """Rows that are summed for one id."""
    importance_rows: Annotated[int, Field(ge=0)] = 0
    """Rows of a second, hashed table of learnt weights of the summands; 0 sums them as they are."""
    separate: bool = False
    """Deal the rows to the features in proportion to their vocabularies, instead of sharing them."""
    exact_below: Annotated[int, Field(ge=0)] = 5
    """Vocabularies of at most so many ids keep rows of their own."""


class QrTable(_Sized):
    """A quotient and a remainder row for each id, multiplied (compositional embeddings, Shi et al. 2020)."""

    shares_rows: ClassVar[bool] = True
    knob: ClassVar[str | None] = "divisor"

    scheme: Literal["qr"]
    divisor: Count | None = None
    """Rows of the remainder table; the quotient table has ceil(ids / divisor)."""
    operation: Literal["mul", "add"] = "mul"
    """How the two rows become one vector."""
    separate: bool = False
    """Two tables for each feature with one divisor, instead of two for all their ids laid end to end."""


class TtRecTable(_Sized):
    """Three small cores for each feature, contracted: a tensor-train (TT-Rec, Yin et al. 2021)."""

    knob: ClassVar[str | None] = "rank"

    scheme: Literal["tt_rec"]
    rank: Count | None = None
    """TT rank, of all features."""


class DheTable(_Sized):
    """No table: many hashes of the id, through an MLP (deep hash embedding, Kang et al. 2021)."""

    takes_open: ClassVar[bool] = True
    has_rows: ClassVar[bool] = False
    knob: ClassVar[str | None] = "width"

    scheme: Literal["dhe"]
    width: Count | None = None
    """Units of each hidden layer, of all features."""
    hashes: Annotated[int, Field(ge=8)] = 1024
    """Hash functions, the inputs of the MLP."""
    layers: Count = 5
    """Hidden layers."""


class RobeTable(_Sized):
    """Slices of one circular array of floats, at hashed places (ROBE-Z, Desai et al. 2022)."""

    takes_open: ClassVar[bool] = True
    shares_rows: ClassVar[bool] = True
    knob: ClassVar[str | None] = "size"

    scheme: Literal["robe"]
    size: Count | None = None
    """Floats of the array; rounded down to whole chunks."""
    chunk: Annotated[int, Field(ge=4, multiple_of=4)] | None = None
    """Consecutive floats of one slice (the paper's Z); the whole embedding when not given."""
    separate: bool = False
    """Deal the floats to the features in proportion to their vocabularies, instead of sharing them."""
    exact_below: Annotated[int, Field(ge=0)] = 5
    """Vocabularies of at most so many ids keep rows of their own."""


class DedupTable(_Sized):
    """Train in full, merge blocks of rows that are alike, fine-tune (dedup, Zhou et al. 2022)."""

    knob: ClassVar[str | None] = "blocks"
    num_stages: ClassVar[int] = 2
    whole: ClassVar[bool] = True

    scheme: Literal["dedup"]
    blocks: Count | None = None
    """Blocks that stay."""
    block_rows: Count | None = None
    """Rows of a block; 10,000 when not given, fewer where that makes less than 100 blocks."""
    tolerance: Annotated[float, Field(gt=0)] = 0.01
    """Two floats are alike if they differ by no more; doubled until the budget is met."""
    similarity: Share = 0.7
    """Two blocks are alike if so large a share of their floats is."""


class AdaptEmbTable(_Sized):
    """Frequent ids keep rows of their own, the others are hashed (AdaptEmb, as in Zhang et al. 2024)."""

    knob: ClassVar[str | None] = "rate"

    scheme: Literal["adaptemb"]
    rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Rows of each feature, as a share of its ids."""
    hot: Share | None = None
    """Share of the ids that keep their rows, smaller than that of rows; half of the rows when not given."""

    @model_validator(mode="after")
    def _others_have_rows(self) -> Self:
        if self.rate is not None and self.hot is not None and self.hot >= self.rate:
            raise ValueError(
                f"hot must be smaller than rate {self.rate:g}, or no row is left for the other ids, got {self.hot:g}"
            )
        return self


class DpqTable(_Sized):
    """Product quantisation that is learnt with the model (DPQ, Chen et al. 2020)."""

    knob: ClassVar[str | None] = "parts"

    scheme: Literal["dpq"]
    parts: Count | None = None
    """Parts of an embedding, each of which is one of `choices` centroids; divides dim."""
    choices: Annotated[int, Field(ge=2, le=256)] = 32
    """Centroids of a part."""


class MgqeTable(_Sized):
    """DPQ in which rare ids choose among fewer centroids (MGQE, Kang et al. 2020)."""

    knob: ClassVar[str | None] = "parts"

    scheme: Literal["mgqe"]
    parts: Count | None = None
    """Parts of an embedding, each of which is one of `choices` centroids; divides dim."""
    choices: Annotated[int, Field(ge=2, le=256)] = 256
    """Centroids of a part."""
    cold_choices: Annotated[int, Field(ge=2, le=256)] = 64
    """Those that ids which are not hot may choose from: the first ones."""
    hot: Share = 0.1
    """Share of the ids, by falling training frequency, that may choose all."""

    @model_validator(mode="after")
    def _hot_ids_have_more(self) -> Self:
        if self.cold_choices > self.choices:
            raise ValueError(f"cold_choices must be at most choices {self.choices}, got {self.cold_choices}")
        return self


class Int8Table(_Sized):
    """Rows of 8-bit integers from the first step on, rounded at random."""

    has_rows: ClassVar[bool] = False

    scheme: Literal["int8"]
    scale: Annotated[float, Field(gt=0)] = 0.01
    """Value of one step; the range is 128 of them to each side."""


class Int16Table(_Sized):
    """Rows of 16-bit integers from the first step on, rounded at random."""

    has_rows: ClassVar[bool] = False

    scheme: Literal["int16"]
    scale: Annotated[float, Field(gt=0)] = 0.0001
    """Value of one step; the range is 32,768 of them to each side."""


class AlptTable(_Sized):
    """Integer rows, each with a learnt scale (ALPT, Li et al. 2023)."""

    has_rows: ClassVar[bool] = False

    scheme: Literal["alpt"]
    bits: Literal[8, 16] = 8
    """Of one integer."""
    scale: Annotated[float, Field(gt=0)] = 0.01
    """Initial value of one step."""
    scale_lr: Annotated[float, Field(gt=0)] = 2e-5
    """Learning rate of the scales."""


class MdTable(_Sized):
    """Narrower rows for larger vocabularies, projected to one width (mixed dimensions, Ginart et al. 2021)."""

    knob: ClassVar[str | None] = "alpha"

    scheme: Literal["md"]
    alpha: Annotated[float, Field(ge=0)] | None = None
    """Width falls with the size of the vocabulary to the power of -alpha; 0 compresses nothing."""


class DeepLightTable(_Sized):
    """Train in full and prune the smallest weights step by step (DeepLight, Deng et al. 2021)."""

    knob: ClassVar[str | None] = "density"
    num_stages: ClassVar[int] = 2
    whole: ClassVar[bool] = True
    takes_fp16: ClassVar[bool] = False

    scheme: Literal["deeplight"]
    density: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the weights that are kept."""
    ramp: Count | None = None
    """Steps in which the pruned share comes closer to its goal by 1 %; by default half of the epochs reach it."""


class CustomTable(_Table):
    """A scheme of the user's own, named `package.module:Class`; other keys are handed to it."""

    takes_open: ClassVar[bool] = True

    model_config = ConfigDict(extra="allow")

    scheme: Annotated[str, Field(pattern=CLASS_PATH)]

    def parameters(self) -> dict[str, Any]:
        """Return the keys that only the user's own class knows; lists are tuples."""
        return dict(self.model_extra or {})


Table = Annotated[
    Annotated[FullTable, tag("scheme", "full")]
    | Annotated[HashTable, tag("scheme", "hash")]
    | Annotated[UnifiedTable, tag("scheme", "unified")]
    | Annotated[MultiHashTable, tag("scheme", "multi_hash")]
    | Annotated[QrTable, tag("scheme", "qr")]
    | Annotated[TtRecTable, tag("scheme", "tt_rec")]
    | Annotated[DheTable, tag("scheme", "dhe")]
    | Annotated[RobeTable, tag("scheme", "robe")]
    | Annotated[DedupTable, tag("scheme", "dedup")]
    | Annotated[AdaptEmbTable, tag("scheme", "adaptemb")]
    | Annotated[DpqTable, tag("scheme", "dpq")]
    | Annotated[MgqeTable, tag("scheme", "mgqe")]
    | Annotated[Int8Table, tag("scheme", "int8")]
    | Annotated[Int16Table, tag("scheme", "int16")]
    | Annotated[AlptTable, tag("scheme", "alpt")]
    | Annotated[MdTable, tag("scheme", "md")]
    | Annotated[DeepLightTable, tag("scheme", "deeplight")]
    | Annotated[CustomTable, tag("scheme", CUSTOM)],
    chosen_by("scheme", default="full"),
]


def table_sections() -> dict[str, type[_Table]]:
    """Return the section of each scheme that ships with the package, by its name."""
    sections: dict[str, type[_Table]] = {}
    for tagged in Table.__origin__.__args__:  # type: ignore[attr-defined]
        section, marked = tagged.__origin__, tagged.__metadata__[0]
        name = marked.tag.partition("=")[2]
        if name != CUSTOM:
            sections[name] = section
    return sections
