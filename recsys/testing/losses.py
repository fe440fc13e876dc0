"""The contract of a loss: a suite that runs on any loss, of this package or of your own.

    class TestMyLoss(LossContract):
        cases = loss_cases(MyLoss.section)

Dimension key: B rows of a batch, T tasks.
"""

import io
from collections.abc import Mapping
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from recsys.config.losses import LOSSES, LossSection
from recsys.losses import build_loss
from recsys.testing.cases import example_cases

__all__ = ["LossContract", "loss_cases"]


def loss_cases(*sections: type[LossSection]) -> dict[str, LossSection]:
    """Return the examples of sections by a name for each; without sections, those of all registered losses."""
    return {name: LOSSES[keys["name"]].model_validate(keys) for name, keys in example_cases(LOSSES, sections).items()}


class LossContract:
    """Mixin of tests of losses. Name your subclass Test..., and say in `cases` which losses it tests.

    Attributes:
        cases: what to build, by a name for each; the examples of all registered losses by default.
    """

    pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.*` is (deprecated|not supported):DeprecationWarning")
    cases: ClassVar[Mapping[str, LossSection]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test that takes `config` once for each case."""
        if "config" in metafunc.fixturenames:
            cases = self.cases or loss_cases()
            metafunc.parametrize("config", cases.values(), ids=cases.keys())

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    @pytest.mark.parametrize("shape", [(5, 1), (3, 2), (0, 1)])
    def test_there_is_one_finite_float32_loss_for_each_row_and_task(
        self, config: LossSection, shape: tuple[int, int], dtype: torch.dtype
    ) -> None:
        logits, labels = draw(*shape)
        loss = build_loss(config)(logits.to(dtype), labels)
        assert loss.shape == shape
        assert loss.dtype == torch.float32
        assert loss.isfinite().all()

    def test_extreme_logits_give_a_finite_loss_and_gradient(self, config: LossSection) -> None:
        logits = torch.tensor([[-200.0], [200.0], [200.0], [-200.0]], requires_grad=True)
        loss = build_loss(config)(logits, torch.tensor([[0.0], [1.0], [0.0], [1.0]]))
        loss.sum().backward()
        assert loss.isfinite().all()
        assert logits.grad is not None
        assert logits.grad.isfinite().all()

    def test_a_row_does_not_depend_on_its_batch(self, config: LossSection) -> None:
        loss, (logits, labels) = build_loss(config), draw(7, 2)
        alone = torch.cat([loss(logits[i : i + 1], labels[i : i + 1]) for i in range(7)])
        torch.testing.assert_close(loss(logits, labels), alone, rtol=0, atol=1e-6)

    def test_a_step_against_the_gradient_makes_the_loss_smaller(self, config: LossSection) -> None:
        loss, (logits, labels) = build_loss(config), draw(50, 1)
        logits.requires_grad_()
        before = loss(logits, labels).sum()
        (gradient,) = torch.autograd.grad(before, logits)
        assert loss(logits - 0.01 * gradient, labels).sum() < before

    def test_clicked_rows_pull_their_logits_up_and_others_down(self, config: LossSection) -> None:
        loss, (logits, labels) = build_loss(config), draw(50, 1)
        (gradient,) = torch.autograd.grad(loss(logits.requires_grad_(), labels).sum(), logits)
        assert (gradient[labels == 1] <= 0).all()
        assert (gradient[labels == 0] >= 0).all()

    def test_the_link_gives_increasing_float64_probabilities(self, config: LossSection) -> None:
        logits = torch.linspace(-8, 8, 101)[:, None]
        probabilities = build_loss(config).link()(logits)
        assert probabilities.dtype == torch.float64
        assert probabilities.shape == logits.shape
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        assert (probabilities.diff(dim=0) > 0).all()

    def test_the_link_scripts_and_gives_the_same_after_it_was_saved(self, config: LossSection) -> None:
        link, (logits, _) = build_loss(config).link().eval(), draw(5, 2)
        file = io.BytesIO()
        torch.jit.save(torch.jit.script(link), file)
        file.seek(0)
        assert torch.equal(torch.jit.load(file)(logits), link(logits))  # type: ignore[no-untyped-call]


def draw(num_rows: int, num_tasks: int) -> tuple[Tensor, Tensor]:
    """Draw logits and labels (B, T), the same each time."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(num_rows, num_tasks, generator=generator)
    return logits, torch.randint(0, 2, (num_rows, num_tasks), generator=generator).float()
