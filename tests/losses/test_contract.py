"""What every loss promises, whichever it is."""

from recsys.testing import LossContract


class TestLosses(LossContract):
    """All losses that are registered."""
