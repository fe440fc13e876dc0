"""CTR models from one YAML file: TorchRec tables, interaction towers, exact AUC, TorchScript export.

The names below are all that notebooks and scripts need. Each is imported when it is first used, so that `import recsys`
loads neither torch nor polars.

```python
run = recsys.train("run.yaml", data_dir="data")  # or a dict, with data frames as train=, valid=, test=
run.metrics["test.auc"], run.predictions("test")
run.export("bundle").predict(frame)["score"]
```
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.api.bundle import Bundle
    from recsys.api.config import load_config
    from recsys.api.init import demo_data, init
    from recsys.api.run import Run
    from recsys.api.train import train
    from recsys.config import Config, register_feature_type
    from recsys.embeddings.build import register_scheme
    from recsys.errors import ConfigError, DataError, ExportError, Preempted, RecsysError
    from recsys.evaluation.metrics import Metric, register_metric
    from recsys.losses import register_loss
    from recsys.towers import register_tower

__all__ = [
    "Bundle",
    "Config",
    "ConfigError",
    "DataError",
    "ExportError",
    "Metric",
    "Preempted",
    "RecsysError",
    "Run",
    "__version__",
    "demo_data",
    "init",
    "load_config",
    "register_feature_type",
    "register_loss",
    "register_scheme",
    "register_tower",
    "register_metric",
    "train",
]

__version__ = "0.2.0"

_ORIGINS = {
    "Bundle": "recsys.api.bundle",
    "Config": "recsys.config",
    "ConfigError": "recsys.errors",
    "DataError": "recsys.errors",
    "ExportError": "recsys.errors",
    "Metric": "recsys.evaluation.metrics",
    "Preempted": "recsys.errors",
    "RecsysError": "recsys.errors",
    "Run": "recsys.api.run",
    "demo_data": "recsys.api.init",
    "init": "recsys.api.init",
    "load_config": "recsys.api.config",
    "register_feature_type": "recsys.config",
    "register_loss": "recsys.losses",
    "register_scheme": "recsys.embeddings.build",
    "register_tower": "recsys.towers",
    "register_metric": "recsys.evaluation.metrics",
    "train": "recsys.api.train",
}
"""The module of each name that is imported when it is first used."""


def __getattr__(name: str) -> Any:
    if name not in _ORIGINS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(_ORIGINS[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
