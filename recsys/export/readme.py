"""The page that goes with a bundle: what it takes and gives, and how to score with nothing but torch."""

from typing import Any

from recsys.bundle_folder import CANDIDATE_LENGTHS

__all__ = ["readme"]

_SNIPPET = """\
import json, torch
from pyarrow import parquet

model = {load}
golden = parquet.read_table("golden.parquet")
inputs = {}
for declared in json.load(open("signature.json"))["inputs"]:
    column = golden[declared["name"]].combine_chunks()
    if declared["kind"] in ("ids", "sequence"):  # lists: their entries end to end, and the length of each
        inputs[declared["name"] + ".values"] = torch.tensor(column.flatten().to_numpy())
        inputs[declared["name"] + ".lengths"] = torch.tensor(column.value_lengths().to_numpy()).long()
    else:
        inputs[declared["name"]] = torch.tensor(column.to_numpy())
print(model(inputs))  # (rows, tasks) probabilities
"""

_LOAD = {
    "model.pt": 'torch.jit.load("model.pt")',
    "model.pt2": 'torch.export.load("model.pt2").module()  # takes the inputs in the order of the signature, unchecked',
}

_PAGE = """\
# {name}

A click model for plain torch: `{model}` needs no other package. In this folder, run:

```python
{snippet}```

| input | kind | tensors | dtype | raw column | missing |
|---|---|---|---|---|---|
{inputs}

Outputs, in order: {outputs}; float64 probabilities.

- A *text* key is the xxhash64 (seed 0) of its UTF-8 bytes, read as a signed 64-bit integer; an *int* key is the
  integer itself. Keys that training has not seen are fine. `hash_tests` in `signature.json` has texts with their keys.
- `example` in `signature.json` is a request in the words of the Open Inference Protocol with its answer, and the same
  as plain JSON rows. `recsys serve` answers both; `"user": true` marks inputs that say something of the user.
- Many candidates of one user: send the inputs that are the user's once, those of candidates once each, and
  `{candidates}` int64 (users,), the number of candidates of each user, whose rows follow each other. The scores are
  those of plain rows. `ranking` in `example` is such a request.
- A missing id or time is {null}; a missing number is NaN.
- Lists may be longer than the model uses; it cuts them itself.
- `{model}` is a program that torch runs: load it only if you trust who made it. `recsys predict` compares the files
  with `checksums.json` before it loads them.
- `golden.parquet` holds rows with the scores {golden}: a correct host gets the same to within 1e-6.
"""


def readme(name: str, signature: dict[str, Any]) -> str:
    """Return the page of a bundle called `name`."""
    (model,) = signature["sha256"]
    is_rounded = signature.get("tables", {}).get("golden_difference") is not None
    rows = []
    for i in signature["inputs"]:
        kind = f"{i['kind']}, {i['key']} keys" if "key" in i else i["kind"]
        tensors = ", ".join(f"`{name}` {shape}" for name, shape in i["tensors"].items())
        rows.append(f"| `{i['name']}` | {kind} | {tensors} | {i['dtype']} | `{i['column']}` | {i['null']} |")
    return _PAGE.format(
        name=name,
        model=model,
        snippet=_SNIPPET.replace("{load}", _LOAD[model]),
        inputs="\n".join(rows),
        outputs=", ".join(f"`{output['name']}`" for output in signature["outputs"]),
        null=-(2**63),
        golden="of this model, whose tables have fewer bits than in training" if is_rounded else "training gave them",
        candidates=CANDIDATE_LENGTHS,
    )
