"""The whole file: label, features, tables, data, model, training."""

from typing import Annotated, Literal

from pydantic import Field

from recsys.config.features import Feature, Section
from recsys.config.tables import Table
from recsys.config.towers import MlpModel, Model

__all__ = [
    "Config",
    "DataSection",
    "DenseOptimizer",
    "EarlyStopping",
    "FractionSplit",
    "LrReduction",
    "Regularization",
    "SparseOptimizer",
    "TimeSplit",
    "TrainSection",
]

Paths = str | Annotated[tuple[str, ...], Field(min_length=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
LearningRate = Annotated[float, Field(gt=0)]


class FractionSplit(Section):
    """Rows are dealt to the splits at random, by `train.seed` and the row's place in the files."""

    by: Literal["fraction"] = "fraction"
    valid: Share = 0.1
    test: Share = 0.1


class TimeSplit(Section):
    """The latest rows are for test, those before them for validation."""

    by: Literal["time"]
    column: str
    valid: Share = 0.1
    test: Share = 0.1


class DataSection(Section):
    """Where the rows are. Paths may be globs and are relative to --data-dir (the current folder when not given)."""

    train: Paths | None = None
    valid: Paths | None = None
    test: Paths | None = None
    split: Annotated[FractionSplit | TimeSplit, Field(discriminator="by")] | None = None
    """Cut `train` into three; used when `valid` is not given (by default 80/10/10 at random)."""
    format: Literal["parquet", "csv", "tsv", "arrow"] | None = None
    """By the file's suffix when not given (.txt is tsv)."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Of a csv file: by its format when not given."""
    header: bool = True
    """Whether the first line of a csv file names the columns; if not, `columns` must."""
    columns: tuple[str, ...] | None = None
    """Names of the columns of a csv file without a header."""


class SparseOptimizer(Section):
    """Fused with the backward pass of the tables. On a CPU: rowwise_adagrad, adagrad, sgd."""

    name: Literal["rowwise_adagrad", "adagrad", "sgd", "adam"] = "rowwise_adagrad"
    lr: LearningRate = 0.05
    eps: Annotated[float, Field(gt=0)] = 1e-8


class DenseOptimizer(Section):
    """For all that is not a table."""

    name: Literal["adam", "adamw", "adagrad", "sgd"] = "adam"
    lr: LearningRate = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class Regularization(Section):
    """Penalties on parameters."""

    rows: Annotated[float, Field(ge=0)] = 0.0
    """Lambda of DIN's mini-batch aware L2 on the rows a batch reads (section 5.1 of the paper)."""


class EarlyStopping(Section):
    """Stop when the metric on the validation split has not improved for `patience` epochs."""

    metric: Literal["auc", "gauc", "logloss"] = "auc"
    patience: Annotated[int, Field(ge=1)] = 2


class LrReduction(Section):
    """Multiply both learning rates by `factor` after `patience` epochs without improvement."""

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: Annotated[int, Field(ge=1)] = 1


class TrainSection(Section):
    """How the model is fitted."""

    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=1)] = 4096
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    precision: Literal["32", "bf16-mixed"] = "32"
    sparse_optimizer: SparseOptimizer = SparseOptimizer()
    dense_optimizer: DenseOptimizer = DenseOptimizer()
    regularization: Regularization = Regularization()
    early_stopping: EarlyStopping | None = EarlyStopping()
    lr_reduction: LrReduction | None = None
    gradient_clip: Annotated[float, Field(gt=0)] | None = None
    """Largest norm of the dense gradients."""
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 10.0
    """Minutes between two `last` checkpoints inside an epoch; one is also written after each epoch."""


class Config(Section):
    """One file, its includes merged in and checked. Globs are still globs: `resolve` expands them."""

    label: str | Annotated[dict[str, str], Field(min_length=1)]
    """Column with 0 and 1, or several tasks as {task: column}."""
    features: Annotated[dict[str, Feature], Field(min_length=1)]
    group: str | None = None
    """GAUC is computed within each value of this column."""
    weight: str | None = None
    """Column with row weights, used by loss and metrics."""
    tables: dict[str, Table] = {}
    data: DataSection = DataSection()
    model: Model = MlpModel(tower="mlp")
    train: TrainSection = TrainSection()

    @property
    def labels(self) -> dict[str, str]:
        """Tasks and their columns; a single label is the task `label`."""
        return {"label": self.label} if isinstance(self.label, str) else self.label
