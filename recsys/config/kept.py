"""The files of values that searches keep: named by their absolute paths, and known by their content."""

import hashlib
import os.path
from pathlib import Path

from recsys.config.feature_types.base import FeatureSection
from recsys.config.feature_types.kept import KeptFile
from recsys.config.globs import matches
from recsys.config.problems import SourceMap
from recsys.config.run import Config

__all__ = ["kept_checksum", "kept_file", "locate_kept", "nowhere", "recall_kept"]


def locate_kept(config: Config) -> Config:
    """Return a configuration that names each file of kept values by its absolute path and states its checksum.

    A path is relative to the file that states it. The checksum stays None while there is no such file: where nothing
    has to be fitted, none is needed.
    """
    located = {name: _located(name, feature, config.source) for name, feature in config.features.items()}
    return config.replaced(features=located)


def recall_kept(config: Config, before: Config) -> Config:
    """Return a configuration that takes the checksums of files which are gone from what it was before.

    Args:
        config: a located configuration.
        before: that of a run, with the same features, its globs expanded.
    """
    recalled = dict(config.features)
    for name, feature in config.features.items():
        gone = kept_file(feature)
        known = (kept_file(other) for its, other in before.features.items() if matches(its, name))
        same = next((kept for kept in known if gone is not None and kept is not None and kept.file == gone.file), None)
        if gone is not None and gone.checksum is None and same is not None:
            recalled[name] = feature.model_copy(update={"kept": same})
    return config.replaced(features=recalled)


def kept_file(feature: FeatureSection) -> KeptFile | None:
    """Return the file of the values that a feature keeps; None if it keeps all."""
    kept: KeptFile | str | None = getattr(feature, "kept", None)
    return KeptFile(file=kept) if isinstance(kept, str) else kept


def nowhere(feature: FeatureSection) -> FeatureSection:
    """Return a feature that states the content of its file of kept values, as far as it is known, and not the path."""
    kept = kept_file(feature)
    if kept is None or kept.checksum is None:
        return feature
    return feature.model_copy(update={"kept": kept.model_copy(update={"file": "anywhere"})})


def kept_checksum(content: bytes) -> str:
    """Return the checksum of a file's content."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _located(name: str, feature: FeatureSection, source: SourceMap) -> FeatureSection:
    kept = kept_file(feature)
    if kept is None or kept.checksum is not None:
        return feature
    stated = source.location(("features", name, "kept"))
    path = Path(os.path.abspath(Path(stated.file if stated else "").parent / kept.file))  # noqa: PTH100 without links
    try:
        checksum = kept_checksum(path.read_bytes())
    except (OSError, ValueError):  # a path with a NUL in it, from Python
        checksum = None
    return feature.model_copy(update={"kept": KeptFile(file=str(path), checksum=checksum)})
