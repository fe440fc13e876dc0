"""What every tower promises, whichever it is."""

from collections.abc import Collection

from recsys.config.towers import TowerSection
from recsys.config.towers.din import DinModel
from recsys.testing import TowerContract


class TestTowers(TowerContract):
    """All towers that are registered."""

    def parameters_without_effect(self, model: TowerSection) -> Collection[str]:
        if isinstance(model, DinModel) and model.attention_softmax:
            # A softmax does not see what is added to all scores.
            return [f"interests.{i}.rest.1.layers.0.bias" for i in range(2)]
        return []
