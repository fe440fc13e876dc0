"""YAML -> frozen, checked objects. Knows no torch and no polars.

load_config(path) -> Config      every problem at once, each with its file and line
load_run_config(path) -> Config  that of a run, which a former version may have written
resolve(config, columns) -> Plan     globs expanded against the columns of the data
dump(config or plan) -> str      YAML that loads to an equal config
json_schema() -> dict            for editors
"""

from recsys.config.dump import dump
from recsys.config.feature_types import (
    BucketFeature,
    ColumnSection,
    CrossFeature,
    DatetimeFeature,
    DatetimePart,
    Feature,
    FeatureSection,
    Field,
    IdFeature,
    IdsFeature,
    NumberFeature,
    SequenceFeature,
    register_feature_type,
)
from recsys.config.load import load_config, load_run_config
from recsys.config.problems import did_you_mean
from recsys.config.resolve import MissingColumn, load_resolved, missing_columns, resolve
from recsys.config.resolved import ResolvedConfig, ResolvedTable
from recsys.config.run import (
    Communication,
    Config,
    DataSection,
    DenseOptimizer,
    EarlyStopping,
    FractionSplit,
    Regularization,
    SparseOptimizer,
    TimeSplit,
    TrainSection,
)
from recsys.config.schema import json_schema
from recsys.config.schemes import CustomTable, Table
from recsys.config.schemes.full import FullTable
from recsys.config.schemes.hash import HashTable
from recsys.config.section import Section
from recsys.config.towers import CustomModel, Model
from recsys.config.towers.autoint import AutoIntModel
from recsys.config.towers.din import DinModel
from recsys.config.towers.fm import FmModel
from recsys.config.towers.lr import LrModel
from recsys.config.towers.mlp import MlpModel
from recsys.config.warn import warnings_of

__all__ = [
    "AutoIntModel",
    "BucketFeature",
    "ColumnSection",
    "Communication",
    "Config",
    "CrossFeature",
    "CustomModel",
    "CustomTable",
    "DataSection",
    "DatetimeFeature",
    "DatetimePart",
    "DenseOptimizer",
    "DinModel",
    "EarlyStopping",
    "Feature",
    "FeatureSection",
    "Field",
    "FmModel",
    "FractionSplit",
    "FullTable",
    "HashTable",
    "IdFeature",
    "IdsFeature",
    "LrModel",
    "MissingColumn",
    "MlpModel",
    "Model",
    "NumberFeature",
    "ResolvedConfig",
    "ResolvedTable",
    "Regularization",
    "Section",
    "SequenceFeature",
    "SparseOptimizer",
    "Table",
    "TimeSplit",
    "TrainSection",
    "did_you_mean",
    "dump",
    "json_schema",
    "load_config",
    "load_resolved",
    "load_run_config",
    "missing_columns",
    "register_feature_type",
    "resolve",
    "warnings_of",
]
