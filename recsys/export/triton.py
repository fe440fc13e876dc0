"""A bundle as a model of a Triton model repository, for Triton's PyTorch backend.

    REPOSITORY/NAME/config.pbtxt
    REPOSITORY/NAME/1/model.pt
    REPOSITORY/NAME/signature.json, golden.parquet, README.md    not read by Triton

The model takes one dictionary of tensors; the backend then hands it the inputs of the configuration by their names. An
output is named NAME__INDEX. Rows and entries of lists are of different number, so that Triton must not batch requests.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys.bundle_folder import MODEL_FILES, BundleFolder
from recsys.errors import ExportError
from recsys.files import atomic_folder, write_atomic

__all__ = ["config_text", "write_triton_model"]

TYPES = {"int64": "TYPE_INT64", "float64": "TYPE_FP64"}
VERSION = "1"
PARAMETERS = {"INFERENCE_MODE": "true", "DISABLE_OPTIMIZED_EXECUTION": "true"}
"""The second keeps the first calls from being slow: torch would compile the graph anew for the shapes that it sees."""


def write_triton_model(bundle: Path, repository: Path) -> Path:
    """Write a bundle into a model repository, under the name of its folder; a former model of that name is replaced.

    Returns:
        The folder of the model.

    Raises:
        ExportError: the bundle holds a program of torch.export, which the backend does not read, or the folder is that
            of something else.
    """
    files = BundleFolder(bundle)
    signature = json.loads(files.signature.read_text(encoding="utf-8"))
    if MODEL_FILES["torchscript"] not in signature["sha256"]:
        raise ExportError(f"{bundle}: holds a program of torch.export; Triton's PyTorch backend reads TorchScript")
    folder = repository / bundle.name
    if folder.exists() and not (folder / "config.pbtxt").exists():
        raise ExportError(f"{folder}: is not a model of Triton (it has no config.pbtxt) and is not overwritten")
    repository.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder) as draft:
        (draft / VERSION).mkdir()
        shutil.copyfile(files.model("torchscript"), draft / VERSION / MODEL_FILES["torchscript"])
        for path in (files.signature, files.golden_rows, files.readme):
            shutil.copyfile(path, draft / path.name)
        write_atomic(draft / "config.pbtxt", config_text(bundle.name, signature))
    return folder


def config_text(name: str, signature: Mapping[str, Any]) -> str:
    """Return the configuration of a model, as Protocol Buffers print it."""
    inputs = [(tensor, TYPES[one["dtype"]], "-1") for one in signature["inputs"] for tensor in one["tensors"]]
    outputs = [("OUTPUT__0", "TYPE_FP64", f"-1, {len(signature['outputs'])}")]
    lines = [f"name: {_quoted(name)}", 'backend: "pytorch"', "max_batch_size: 0"]
    for kind, tensors in (("input", inputs), ("output", outputs)):
        lines += [
            f"{kind} {{ name: {_quoted(tensor)} data_type: {datatype} dims: [ {dims} ] }}"
            for tensor, datatype, dims in tensors
        ]
    lines.append("instance_group { kind: KIND_CPU }")
    lines += [f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}' for key, value in PARAMETERS.items()]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Return a string as text format writes it: bytes beyond ASCII escaped in octal."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in text.encode())
    return f'"{"".join(plain)}"'
