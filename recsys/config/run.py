"""The whole file: label, features, tables, data, model, training."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, WithJsonSchema

from recsys.config.calibrations import AnyCalibration
from recsys.config.calibrations.none import NoCalibrationSection
from recsys.config.cape import AnyTargets
from recsys.config.feature_types import Feature
from recsys.config.limits import Epochs, LearningRate, Penalty, Seed, Share, Step
from recsys.config.losses import AnyLoss
from recsys.config.losses.logloss import LogLossSection
from recsys.config.lr_schedules import AnyLrSchedule, CosineLr
from recsys.config.problems import SourceMap
from recsys.config.schemes import Table
from recsys.config.search import SearchSection
from recsys.config.section import BY_SHAPE, CLASS_PATH, Section, SectionRegistry, shape_tag
from recsys.config.towers import Model
from recsys.config.towers.mlp import MlpModel
from recsys.evaluation.metrics import METRICS, resolve_metric

__all__ = [
    "Communication",
    "Config",
    "DataSection",
    "DenseOptimizer",
    "EarlyStopping",
    "FileFormat",
    "FractionSplit",
    "Regularization",
    "SparseOptimizer",
    "TimeSplit",
    "TrainSection",
    "check_separator",
]

Name = Annotated[str, Field(min_length=1)]
Paths = Annotated[
    Annotated[Name, shape_tag("text")] | Annotated[tuple[Name, ...], Field(min_length=1), shape_tag("list")], BY_SHAPE
]
Labels = Annotated[
    Annotated[Name, shape_tag("text")] | Annotated[dict[str, Name], Field(min_length=1), shape_tag("mapping")],
    BY_SHAPE,
]
FileFormat = Literal["parquet", "csv", "tsv", "arrow"]


def _precision(value: Any) -> Any:
    return "32" if value == 32 else value


Precision = Annotated[
    Literal["auto", "32", "bf16-mixed"],
    BeforeValidator(_precision),
    WithJsonSchema({"enum": ["auto", 32, "32", "bf16-mixed"]}),
]


def _check_metric(name: str) -> str:
    resolve_metric(name)
    return name


def _list_metrics(schema: dict[str, Any]) -> None:
    names = [name for name, metric in METRICS.items() if metric.higher_is_better is not None]
    schema["anyOf"] = [{"enum": names}, {"pattern": CLASS_PATH}]


MetricName = Annotated[str, AfterValidator(_check_metric), Field(json_schema_extra=_list_metrics)]


def check_separator(separator: str) -> str:
    """Return the separator of a csv file.

    Raises:
        ValueError: it cannot be one.
    """
    if not separator or set(separator) & set('"\r\n\0'):
        raise ValueError(f"must be one character or several, without quotes and line ends, got {separator!r}")
    return separator


Communication = Literal["fp32", "fp16", "bf16"]


class FractionSplit(Section):
    """Rows are dealt to the splits at random, by a seed and the row's place in the files."""

    by: Literal["fraction"] = "fraction"
    valid: Share = 0.1
    """Share of the rows."""
    test: Share = 0.1
    """Share of the rows."""
    seed: Seed | None = None
    """`train.seed` when not given; with one of its own, runs with several seeds see the same split."""


class TimeSplit(Section):
    """The latest rows are for test, those before them for validation."""

    by: Literal["time"]
    column: Name
    """Numbers, dates or times; rows are put in its order."""
    valid: Share = 0.1
    """Share of the rows."""
    test: Share = 0.1
    """Share of the rows."""


SPLITS: SectionRegistry[Section] = SectionRegistry("split", key="by", default="fraction")
SPLITS.add(FractionSplit)
SPLITS.add(TimeSplit)
Split = Annotated[FractionSplit | TimeSplit, SPLITS]


class DataSection(Section):
    """Files of the rows. Paths may be globs and are relative to --data-dir (the current folder when not given)."""

    train: Paths | None = None
    """Rows to learn from; vocabularies and statistics come from these alone."""
    valid: Paths | None = None
    """Rows to choose the best epoch by."""
    test: Paths | None = None
    """Rows for the final figures."""
    split: Split | None = None
    """Cut `train` into three; used when `valid` is not given (by default 80/10/10 at random)."""
    format: FileFormat | None = None
    """File format; follows from the file's suffix when not given (.txt is tsv)."""
    separator: Annotated[str, AfterValidator(check_separator)] | None = None
    """Separator of a csv file, one character or several; follows from the format when not given."""
    header: bool = True
    """Whether the first line of a csv file names the columns; if not, `columns` must."""
    columns: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """Names of the columns of a csv file without a header."""
    null_values: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Texts that mean null, such as NA; an empty field of a csv file always does."""
    negative_rate: Share | None = None
    """Share of the training rows with label 0 that is left; the probabilities are those of all rows all the same."""


class SparseOptimizer(Section):
    """Fused with the backward pass of the tables. On a CPU: rowwise_adagrad, adagrad, sgd."""

    name: Literal["rowwise_adagrad", "adagrad", "sgd", "adam"] = "rowwise_adagrad"
    """rowwise_adagrad keeps one float of state a row, adagrad one a weight, adam two."""
    lr: LearningRate = 0.1
    """Learning rate."""
    eps: Step = 1e-8
    """Added to the root of the second moment."""


class DenseOptimizer(Section):
    """Optimizer of all parameters that are not in a table."""

    name: Literal["adam", "adamw", "adagrad", "sgd"] = "adam"
    """adamw decays weights apart from the gradient, adam through it."""
    lr: LearningRate = 0.003
    """Learning rate."""
    weight_decay: Penalty = 0.0
    """L2 on the dense parameters."""


class Regularization(Section):
    """Penalties on parameters."""

    BATCH_SIZE: ClassVar[int] = 1024
    """Rows of the batches in which `rows` is lambda."""

    rows: Penalty = 0.05
    """Lambda of DIN's mini-batch aware L2 on the rows a batch reads (section 5.1 of the paper), in batches of 1,024."""

    def lambda_of(self, batch_size: int) -> float:
        """Return the lambda of batches of `batch_size` rows, which weighs against their labels as `rows` does in 1,024.

        DIFF: the paper has one lambda for all sizes. A batch penalizes a row that it reads once by the same lambda
        whatever its size, while each label counts by one over that size, so that larger batches would penalize more.
        """
        return self.rows * (self.BATCH_SIZE / batch_size)


class EarlyStopping(Section):
    """Stop when the metric on the validation split has not improved for `patience` epochs."""

    metric: MetricName = "auc"
    """The metric by which epochs are compared: a name, or the import path of your own metric; gauc needs `group`."""
    patience: Epochs = 2
    """Epochs without improvement."""


class TrainSection(Section):
    """Settings of training."""

    epochs: Epochs = 5
    """Most passes over the training rows."""
    batch_size: Annotated[int, Field(ge=1, le=2**24)] = 1024
    """Rows of one step, over all devices together."""
    seed: Seed = 1
    """Seed of the initial parameters, the order of the rows and random splits."""
    precision: Precision = "auto"
    """Precision of the dense layers; that of rows is `precision` of their table. auto is bf16-mixed where that is
    faster (CUDA since Ampere; CPUs with avx512_bf16 or AMX, but for din), else 32; a run keeps what it started with."""
    communication: Communication = "fp32"
    """Precision of looked-up vectors on the way between devices; their gradients are bf16 unless it is fp32."""
    loss: AnyLoss = LogLossSection()
    """The loss that is minimized: a name, or a mapping with the keys of a loss."""
    calibrated: AnyTargets | None = None
    """Second stage, in which some epochs learn how often rows with such a prediction are positive: bins or kernel, or a
    mapping with the keys of one."""
    sparse_optimizer: SparseOptimizer = SparseOptimizer()
    dense_optimizer: DenseOptimizer = DenseOptimizer()
    regularization: Regularization = Regularization()
    early_stopping: EarlyStopping | None = EarlyStopping()
    """null trains all epochs."""
    lr_schedule: AnyLrSchedule = CosineLr()
    """The course of the learning rates over a stage: a name, or a mapping with the keys of a schedule."""
    gradient_clip: Step | None = None
    """Largest norm of the dense gradients."""
    checkpoint_minutes: Annotated[float, Field(ge=0, le=10**6)] = 10.0
    """Minutes between two `last` checkpoints inside an epoch; one is also written after each epoch."""

    @classmethod
    def advice(cls, key: str) -> str:
        plateau = "it is now called lr_schedule: write `lr_schedule: {name: plateau, factor: 0.1, patience: 1}`"
        return plateau if key == "lr_reduction" else ""


class Config(Section):
    """One file, its includes merged in and checked. Globs are still globs: `resolve` expands them."""

    _source: SourceMap = PrivateAttr(default_factory=SourceMap)

    label: Labels
    """Column with 0 and 1, or several tasks as {task: column}."""
    features: Annotated[dict[str, Feature], Field(min_length=1)]
    """The meaning of the columns, by name. A name with * or ? stands for all columns of the data that match it."""
    group: Name | None = None
    """GAUC is computed within each value of this column."""
    weight: Name | None = None
    """Column with row weights, used by loss and metrics."""
    tables: dict[str, Table] = Field(default_factory=dict)
    """Embedding tables, by name; a feature in none of them gets one of its own."""
    data: DataSection = DataSection()
    model: Model = MlpModel(tower="mlp")
    train: TrainSection = TrainSection()
    calibration: AnyCalibration = NoCalibrationSection()
    """Fitted on the validation rows when training has ended: a name, or a mapping with the keys of a calibration."""
    search: SearchSection | None = None
    """Keys that `recsys search --method optuna` may change; the widths of all vocabularies when not given."""

    @property
    def labels(self) -> dict[str, str]:
        """Tasks and their columns; a single label is the task `label`."""
        return {"label": self.label} if isinstance(self.label, str) else self.label

    @property
    def source(self) -> SourceMap:
        """Files and lines this was read from."""
        return self._source

    def where(self, *path: str | int) -> str:
        """Return "FILE:LINE: features.price" for `where("features", "price")`, for the beginning of an error."""
        return self._source.where(path)

    def replaced(self, **sections: Any) -> "Config":
        """Return a copy with other sections, which are not checked; it remembers its source."""
        return self.from_source(self._source, **sections)

    def from_source(self, source: SourceMap, **changes: Any) -> "Config":
        """Return a copy that remembers its source; `changes` replace sections and are not checked."""
        copy = self.model_copy(update=changes)
        copy._source = source
        return copy
