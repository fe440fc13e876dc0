"""One configuration for several seeds: what a seed changes, and what it must not."""

from recsys.config.run import Config, FractionSplit, TimeSplit

__all__ = ["with_fixed_split", "with_seed"]


def with_fixed_split(config: Config) -> Config:
    """Return the configuration with the seed of its random split fixed, so that all seeds see the same split."""
    split = config.data.split or FractionSplit()
    if config.data.valid is not None or isinstance(split, TimeSplit) or split.seed is not None:
        return config
    fixed = split.model_copy(update={"seed": config.train.seed})
    return config.replaced(data=config.data.model_copy(update={"split": fixed}))


def with_seed(config: Config, seed: int) -> Config:
    """Return the configuration with another `train.seed`."""
    return config.replaced(train=config.train.model_copy(update={"seed": seed}))
