"""CTR models from one YAML file: TorchRec tables, interaction towers, exact AUC, TorchScript export.

The names below are all that notebooks and scripts need. Each is imported when it is first used, so that `import recsys`
loads neither torch nor polars.

```python
run = recsys.train("run.yaml", data_dir="data")  # or a dict, with data frames as train=, valid=, test=
run.metrics["test.auc"], run.predictions("test")
run.export("bundle").predict(frame)["score"]
```
"""

from typing import TYPE_CHECKING

from recsys.lazy import lazy_names as _lazy_names

if TYPE_CHECKING:
    from recsys.api.bundle import Bundle
    from recsys.api.compare import compare
    from recsys.api.config import load_config
    from recsys.api.init import demo_data, init
    from recsys.api.run import Run
    from recsys.api.search import run_search
    from recsys.api.train import train
    from recsys.calibration import register_calibration
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
    "compare",
    "demo_data",
    "init",
    "load_config",
    "register_calibration",
    "register_feature_type",
    "register_loss",
    "register_metric",
    "register_scheme",
    "register_tower",
    "run_search",
    "train",
]

__version__ = "0.2.0"

__getattr__, __dir__ = _lazy_names(
    __name__,
    {
        "recsys.api.bundle": "Bundle",
        "recsys.api.compare": "compare",
        "recsys.api.config": "load_config",
        "recsys.api.init": "demo_data init",
        "recsys.api.run": "Run",
        "recsys.api.search": "run_search",
        "recsys.api.train": "train",
        "recsys.calibration": "register_calibration",
        "recsys.config": "Config register_feature_type",
        "recsys.embeddings.build": "register_scheme",
        "recsys.errors": "ConfigError DataError ExportError Preempted RecsysError",
        "recsys.evaluation.metrics": "Metric register_metric",
        "recsys.losses": "register_loss",
        "recsys.towers": "register_tower",
    },
)
