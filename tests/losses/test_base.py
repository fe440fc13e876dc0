import torch

from recsys.losses import Sigmoid


def test_close_scores_stay_apart_at_both_ends() -> None:
    """In float32 all logits above 17 have the probability 1, and would tie in AUC."""
    logits = torch.linspace(-30, 30, 1001)
    probabilities = Sigmoid()(logits)
    assert probabilities.dtype == torch.float64
    assert bool((probabilities.diff() > 0).all())
    torch.testing.assert_close(probabilities, 1 / (1 + torch.exp(-logits.double())), rtol=1e-14, atol=0)
