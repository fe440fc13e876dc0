"""Score a bundle's golden rows with torch alone: `python -I verify.py BUNDLE`.

Run as a file in a process of its own, where recsys, torchrec and fbgemm cannot be imported: what it scores, any host
with torch scores. Prints one JSON object: the largest difference to the scores of training, its row and task; and the
largest one between candidates that users share and the same as plain rows.
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


def ranking_inputs(table: Any, inputs: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return golden rows as users, each with up to seven golden rows as candidates, and the same as plain rows."""
    import torch

    counts = [(row + 3) % 8 for row in range(len(table))]
    users = table.take([row for row, count in enumerate(counts) for _ in range(count)])
    candidates = table.take([(row + i) % len(table) for row, count in enumerate(counts) for i in range(count)])
    of_user = [declared for declared in inputs if declared["user"]]
    of_candidate = [declared for declared in inputs if not declared["user"]]
    candidate_tensors = golden_inputs(candidates, of_candidate)
    given = golden_inputs(table, of_user) | candidate_tensors | {"candidates.lengths": torch.tensor(counts)}
    return given, golden_inputs(users, of_user) | candidate_tensors


def compare(folder: Path) -> dict[str, Any]:
    """Load the model, score golden.parquet and return the largest difference; NaN anywhere counts as infinite."""
    import torch
    from pyarrow import parquet

    signature = json.loads((folder / "signature.json").read_text(encoding="utf-8"))
    table = parquet.read_table(folder / "golden.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        is_program = (folder / "model.pt2").exists()  # its host repeats the users
        if is_program:
            model = torch.export.load(folder / "model.pt2").module()
        else:
            model = torch.jit.load(folder / "model.pt")  # type: ignore[no-untyped-call]
    scores = [output["name"] for output in signature["outputs"]]
    expected = torch.stack([torch.tensor(table[name].to_numpy()) for name in scores], dim=1)
    with torch.inference_mode():
        got = model(golden_inputs(table, signature["inputs"]))
        ranking, rows = ranking_inputs(table, signature["inputs"])
        ranked, as_rows = (None, None) if is_program else (model(ranking), model(rows))
    if got.shape != expected.shape:
        raise SystemExit(f"scores must have shape {tuple(expected.shape)}, got {tuple(got.shape)}")
    found = worst(got, expected, scores)
    return found if is_program else found | {"ranking": worst(ranked, as_rows, scores)}


def worst(got: Any, expected: Any, outputs: list[str]) -> dict[str, Any]:
    """Return the largest difference between scores (rows, outputs), and where it is."""
    import torch

    difference = torch.nan_to_num((got - expected).abs(), nan=float("inf"))
    row, output = divmod(int(difference.argmax()), len(outputs))
    return {
        "difference": float(difference.max()),
        "row": row,
        "output": outputs[output],
        "got": float(got[row, output]),
        "expected": float(expected[row, output]),
    }


if __name__ == "__main__":
    sys.modules.update(dict.fromkeys(BLOCKED))  # type: ignore[arg-type]  # None makes their import fail
    print(json.dumps(compare(Path(sys.argv[1]))))
