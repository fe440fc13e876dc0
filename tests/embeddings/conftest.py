"""The fixture of the tests of embeddings and their schemes."""

from collections.abc import Callable

import pytest

from recsys.embeddings import Layout
from recsys.testing import tiny_tables


@pytest.fixture
def make_layout() -> Callable[..., Layout]:
    """Return the function that makes a layout of a configuration's tables."""
    return tiny_tables.make_layout
