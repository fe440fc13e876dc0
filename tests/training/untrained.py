"""Models that were not trained, with rows large enough to make a difference."""

from pathlib import Path
from typing import Any

import torch

from recsys.data.prepare import prepare
from recsys.data.prepared import PreparedSplit
from recsys.training.build import LoadedModel, build
from tests.training.logs import make_config


def untrained(log: Path, folder: Path, **changes: Any) -> tuple[LoadedModel, PreparedSplit]:
    """Return a model, and the test split of the log.

    Args:
        log: folder of the log.
        folder: new folder for the configuration.
        changes: as for `make_config`.
    """
    prepared = prepare(make_config(folder, **changes), log, log / "cache")
    torch.manual_seed(0)
    built = build(prepared.resolved, prepared.state, device=torch.device("cpu"))
    with torch.no_grad():
        for parameter in built.model.parameters():
            parameter.normal_(std=0.5)
    return built, prepared.splits["test"]
