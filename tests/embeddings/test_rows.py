"""Rows in fewer bits, as exported models store them."""

import pytest
import torch

from recsys.embeddings import rows
from recsys.embeddings.rows import FloatRows, Int8Rows, make_rows, quantize_rows


def read(stored: torch.nn.Module, count: int) -> torch.Tensor:
    found: torch.Tensor = stored(torch.arange(count))
    return found


def test_a_value_is_off_by_half_a_step_of_its_row_at_most() -> None:
    torch.manual_seed(0)
    weight = torch.randn(1000, 24) * torch.logspace(-6, 3, 1000).unsqueeze(1)
    step = (weight.amax(dim=1) - weight.amin(dim=1)) / 255
    error = (read(Int8Rows(weight), 1000) - weight).abs().amax(dim=1)
    assert (error <= 0.501 * step).all()
    assert (error > 0.3 * step).any()


def test_rows_of_one_value_are_kept_as_they_are() -> None:
    weight = torch.tensor([[0.0], [-2.5], [1e-30]]).expand(3, 12)
    assert torch.equal(read(Int8Rows(weight), 3), weight)


def test_what_was_rounded_once_is_not_rounded_again() -> None:
    torch.manual_seed(0)
    once = read(Int8Rows(torch.randn(200, 16)), 200)
    torch.testing.assert_close(read(Int8Rows(once), 200), once, rtol=0, atol=1e-6)


def test_large_tables_are_quantized_in_parts_and_each_row_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "CHUNK_ROWS", 7)
    torch.manual_seed(0)
    weight = torch.randn(50, 16)
    codes, ranges = quantize_rows(weight)
    for row in (0, 49):
        alone = quantize_rows(weight[row : row + 1])
        assert torch.equal(codes[row : row + 1], alone[0])
        assert torch.equal(ranges[row : row + 1], alone[1])


def test_narrow_rows_have_floats_of_16_bits_which_take_no_more_bytes() -> None:
    assert isinstance(make_rows(torch.ones(2, 9), "int8"), Int8Rows)
    narrow = make_rows(torch.ones(2, 8), "int8")
    assert isinstance(narrow, FloatRows)
    assert narrow.weight.dtype == torch.float16


def test_rows_of_16_bits_get_no_more() -> None:
    kept = make_rows(torch.ones(2, 4).half(), "fp32")
    assert isinstance(kept, FloatRows)
    assert kept.weight.dtype == torch.float16
