from collections.abc import Iterator

import pytest

from tests.kernels.plain import INSTRUCTION_SETS, with_kernels


@pytest.fixture(params=INSTRUCTION_SETS, ids=lambda chosen: chosen.name, scope="module")
def kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    """Use the kernels of each instruction set in turn."""
    with with_kernels(request.param):
        yield
