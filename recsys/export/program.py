"""A trained model as a program of torch.export (`.pt2`), with any number of rows and entries of lists.

A program keeps no check of what it is given: the host checks names, types, shapes and lengths (`Inputs.check`).
"""

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from recsys.data.model_inputs import Inputs
from recsys.errors import ExportError
from recsys.export.graph import Graph, TableReader
from recsys.files import atomic_path, naming_errors

__all__ = ["export_program", "save_program"]

NUM_ROWS = 3
"""Rows of the inputs that the model is traced with; torch.export takes a number of 0 or 1 for a constant."""


def export_program(graph: Graph, tensors: Sequence[str]) -> torch.export.ExportedProgram:
    """Trace a model to ATen operations.

    Args:
        graph: the exported model, whose entrance no longer checks its inputs afterwards.
        tensors: names of its inputs in the order in which they will always be given, since a program tells the entries
            of a dictionary by their order.

    Raises:
        ExportError: torch.export cannot express a part of the model; it is named.
    """
    graph.inputs.is_checking = False
    traced = _inputs_to_trace_with(graph.inputs)
    inputs = {name: traced[name] for name in tensors}
    try:
        program = _export(graph, inputs)
    except Exception as error:
        raise ExportError(f"format pt2: {_what_fails(graph)} cannot be exported: {_first_line(error)}") from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    program.example_inputs = None
    return program


def save_program(program: torch.export.ExportedProgram, path: Path) -> None:
    """Write a program without pickled parts.

    torch writes to memory first, since on a full disk its writer ends the process (SIGABRT).

    Raises:
        OSError: the disk is full.
    """
    written = io.BytesIO()
    with _quiet():
        torch.export.save(program, written)
    with naming_errors(path), atomic_path(path) as temporary:
        temporary.write_bytes(written.getbuffer())


def _inputs_to_trace_with(inputs: Inputs) -> dict[str, Tensor]:
    """Return inputs of a few rows, of which no two lists have equally many entries unless they are aligned."""
    found: dict[str, Tensor] = {}
    for name in inputs.integers:
        found[name] = torch.zeros(NUM_ROWS, dtype=torch.int64)
    for name in inputs.floats:
        found[name] = torch.zeros(NUM_ROWS, dtype=torch.float64)
    groups = {name: i for i, names in enumerate(inputs.aligned) for name in names}
    for i, name in enumerate(inputs.lists):
        length = 2 + groups.get(name, len(inputs.aligned) + i)
        found[f"{name}.lengths"] = torch.tensor([length, 0, length + 1])
        found[f"{name}.values"] = torch.zeros(2 * length + 1, dtype=torch.int64)
    return found


def _export(module: nn.Module, inputs: Mapping[str, Tensor]) -> torch.export.ExportedProgram:
    shapes = {name: {0: torch.export.Dim.DYNAMIC} for name in inputs}
    with torch.no_grad(), _quiet():
        return torch.export.export(module, (dict(inputs),), dynamic_shapes=(shapes,), strict=False)


def _what_fails(graph: Graph) -> str:
    """Name the first part of a model that cannot be exported by itself."""
    for table in graph.tables:
        assert isinstance(table, TableReader)
        for i, field in enumerate(table.fields):
            if _fails(_OneField(table.serving, table.feature_indices[i]), {"ids": torch.zeros(NUM_ROWS).long()}):
                name = type(getattr(table.serving, "scheme", table.serving)).__name__
                return f"the table of field {field} ({name})"
    for encoder in graph.encoders:
        if _fails(_Encoded(encoder), _inputs_to_trace_with(graph.inputs)):
            fields = getattr(encoder, "fields", None) or [getattr(encoder, "field", type(encoder).__name__)]
            return f"the feature of field {', '.join(fields)} ({type(encoder).__name__})"
    return f"the model with tower {type(graph.tower).__name__}"


def _fails(module: nn.Module, inputs: dict[str, Tensor]) -> bool:
    try:
        _export(module.eval(), inputs)
    except Exception:  # whatever torch says of it
        return True
    return False


class _OneField(nn.Module):
    """The table of one field by itself."""

    def __init__(self, serving: nn.Module, feature_index: int) -> None:
        super().__init__()
        self.serving = serving
        self.feature_index = feature_index

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        found: Tensor = self.serving(inputs["ids"], self.feature_index)
        return found


class _Encoded(nn.Module):
    """An encoder by itself."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        raw = {name.removesuffix(".values"): value for name, value in inputs.items()}
        ids: dict[str, Tensor] = {}
        self.encoder(raw, ids)
        return ids


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
