"""Score a bundle's golden rows with torch alone: `python -I verify.py BUNDLE`.

Run as a file in a process of its own, where recsys, torchrec and fbgemm cannot be imported: what it scores, any host
with torch scores. Prints one JSON object: the largest difference to the scores of training, its row and task.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

__all__ = ["BLOCKED", "compare", "golden_inputs"]

BLOCKED = ("recsys", "torchrec", "fbgemm_gpu", "polars", "lightning")


def golden_inputs(table: Any, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return columns of a pyarrow table as the tensors that the inputs of a signature ask for."""
    import torch

    tensors: dict[str, Any] = {}
    for declared in inputs:
        name = declared["name"]
        column = table[name].combine_chunks()
        if f"{name}.values" in declared["tensors"]:
            tensors[f"{name}.values"] = torch.tensor(column.flatten().to_numpy())
            tensors[f"{name}.lengths"] = torch.tensor(column.value_lengths().to_numpy()).long()
        else:
            tensors[name] = torch.tensor(column.to_numpy())
    return tensors


def compare(folder: Path) -> dict[str, Any]:
    """Load the model, score golden.parquet and return the largest difference; NaN anywhere counts as infinite."""
    import torch
    from pyarrow import parquet

    signature = json.loads((folder / "signature.json").read_text(encoding="utf-8"))
    table = parquet.read_table(folder / "golden.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if (folder / "model.pt2").exists():
            model = torch.export.load(folder / "model.pt2").module()
        else:
            model = torch.jit.load(folder / "model.pt")  # type: ignore[no-untyped-call]
    scores = [output["name"] for output in signature["outputs"]]
    expected = torch.stack([torch.tensor(table[name].to_numpy()) for name in scores], dim=1)
    with torch.inference_mode():
        got = model(golden_inputs(table, signature["inputs"]))
    if got.shape != expected.shape:
        raise SystemExit(f"scores must have shape {tuple(expected.shape)}, got {tuple(got.shape)}")
    difference = torch.nan_to_num((got - expected).abs(), nan=float("inf"))
    worst = int(difference.argmax())
    row, task = divmod(worst, len(scores))
    return {
        "difference": float(difference.max()),
        "row": row,
        "output": scores[task],
        "got": float(got[row, task]),
        "expected": float(expected[row, task]),
    }


if __name__ == "__main__":
    sys.modules.update(dict.fromkeys(BLOCKED))  # type: ignore[arg-type]  # None makes their import fail
    print(json.dumps(compare(Path(sys.argv[1]))))
