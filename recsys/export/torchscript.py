"""Turn a trained model into one scriptable module that needs nothing but torch."""

import copy
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from zipfile import ZipFile, ZipInfo

import torch
from torch import Tensor, nn

from recsys.calibration import Calibrator, build_link
from recsys.config import Field, ResolvedConfig
from recsys.config.schemes.base import ServedPrecision
from recsys.data.model_inputs import Inputs
from recsys.embeddings import Layout
from recsys.embeddings.rows import store_rows
from recsys.errors import ExportError
from recsys.export.graph import Fields, Graph, Histories, Numbers, TableReader
from recsys.export.sides import Sides, is_of_user, user_inputs
from recsys.export.types import ExportedFeature, exported_of
from recsys.features.coverage import fields_with_vocabulary
from recsys.features.state import TransformState
from recsys.files import naming_errors, scratch_folder
from recsys.model import TowerInputMap
from recsys.towers import Tower
from recsys.training.build import LoadedModel
from recsys.training.strategy import table_weights

__all__ = ["export_loaded", "export_module", "save", "script", "table_readers", "with_own_storage"]

M = TypeVar("M", bound=nn.Module)

COPIED_BYTES = 2**24
"""Bytes that are copied from memory to the disk at a time."""
_SOURCES = ".debug_pkl"
"""Ending of the parts of a file that only tell which line of which Python file each operation comes from."""


def export_module(
    resolved: ResolvedConfig,
    state: TransformState,
    layout: Layout,
    tower: Tower,
    weights: dict[str, Tensor],
    calibrator: Calibrator | None = None,
    user_columns: Sequence[str] = (),
    precisions: Mapping[str, ServedPrecision] | None = None,
) -> Graph:
    """Return the module that scores raw canonical inputs.

    Args:
        resolved: the configuration of the model.
        state: the fitted vocabularies, buckets and number scales.
        layout: the embedding layer, whose schemes hold their trained parameters.
        tower: the trained tower; a copy is exported, in evaluation mode.
        weights: physical table -> (rows, dim) float32; not copied.
        calibrator: what was fitted on the validation rows, if anything was.
        user_columns: raw columns that say something of the user, beside histories and the column `group`.
        precisions: table of the configuration -> precision of its rows; as configured where none is given.

    Raises:
        ExportError: the weights of a table are missing or have another shape than the layout's, or no feature reads one
            of `user_columns`.
    """
    _check_weights(layout, weights)
    input_map = TowerInputMap.of(resolved)
    behaviours = input_map.behaviours.values()
    of_user = user_inputs(resolved, user_columns)
    graph = Graph(
        known=fields_with_vocabulary(resolved, state),
        inputs=Inputs(resolved.features, layout.aligned),
        encoders=_encoders(resolved, state),
        numbers=_numbers(resolved, state, of_user),
        tables=table_readers(layout, weights, precisions),
        fields=Fields({name: _pooling(resolved, name) for name in input_map.fields}),
        histories=Histories([one.sequences for one in behaviours], [one.targets for one in behaviours]),
        sides=_sides(resolved, layout, input_map, of_user),
        tower=copy.deepcopy(tower),
        link=build_link(resolved.config),
        calibrator=calibrator,
    )
    return with_own_storage(graph.cpu().eval().requires_grad_(requires_grad=False))


def export_loaded(
    loaded: LoadedModel, user_columns: Sequence[str] = (), precisions: Mapping[str, ServedPrecision] | None = None
) -> Graph:
    """Return the module of a loaded run; see `export_module`.

    Raises:
        ExportError: no feature reads one of `user_columns`.
    """
    return export_module(
        loaded.resolved,
        loaded.state,
        loaded.layout,
        loaded.model.module.tower,
        table_weights(loaded.model),
        loaded.calibrator,
        user_columns,
        precisions,
    )


def with_own_storage(module: M) -> M:
    """Copy tensors that are part of a storage whose rest the module does not need, for files hold storages whole.

    TorchRec keeps all tables of a kind in one storage. If all of them are exported as they are, nothing is copied.
    """
    by_storage: dict[int, dict[int, list[Tensor]]] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        of_storage = by_storage.setdefault(tensor.untyped_storage().data_ptr(), {})
        of_storage.setdefault(tensor.data_ptr(), []).append(tensor)
    for of_storage in by_storage.values():
        firsts = [tensors[0] for tensors in of_storage.values()]
        if sum(first.nbytes for first in firsts) < firsts[0].untyped_storage().nbytes():
            for tensors in of_storage.values():
                copy = tensors[0].data.clone()
                for tensor in tensors:
                    tensor.data = copy
    return module


def script(module: nn.Module) -> torch.jit.ScriptModule:
    """Compile a module to TorchScript, the one format that torch alone loads with all its control flow."""
    with _torchscript():
        scripted: torch.jit.ScriptModule = torch.jit.script(module)
    return scripted


def save(scripted: torch.jit.ScriptModule, path: Path) -> None:
    """Write a compiled module; tensors that several parts share are written once.

    The lines of Python that torch adds, with the paths of their files on this machine, are left out. torch writes to
    memory first, for on a full disk its writer ends the process (SIGABRT). That takes no more memory than the process
    that then loads and checks the file.

    Raises:
        OSError: the disk is full.
    """
    with _torchscript(), _memory_file(path.name) as written:
        torch.jit.save(scripted, written)
        with naming_errors(path), ZipFile(written) as source, ZipFile(path, "w") as target:
            for entry in source.infolist():
                if not entry.filename.endswith(_SOURCES):
                    copy = ZipInfo(entry.filename)
                    copy.file_size = entry.file_size
                    with source.open(entry) as data, target.open(copy, "w") as new:
                        shutil.copyfileobj(data, new, COPIED_BYTES)


@contextmanager
def _memory_file(name: str) -> Iterator[Path]:
    """Yield the path of an empty file in memory; its name becomes part of what torch writes."""
    file = os.memfd_create(name)
    try:
        with scratch_folder() as folder:
            path = folder / name
            path.symlink_to(f"/proc/{os.getpid()}/fd/{file}")
            yield path
    finally:
        os.close(file)


@contextmanager
def _torchscript() -> Iterator[None]:
    """Silence torch 2.13's warning that TorchScript is deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit", category=DeprecationWarning)
        yield


def _check_weights(layout: Layout, weights: dict[str, Tensor]) -> None:
    for name, table in layout.physical_tables.items():
        if name not in weights:
            raise ExportError(f"table {name}: has no trained weights; given are {', '.join(sorted(weights)) or 'none'}")
        if tuple(weights[name].shape) != (table.rows, table.dim):
            raise ExportError(
                f"table {name}: weights must have shape {(table.rows, table.dim)}, got {tuple(weights[name].shape)}"
            )


def _encoders(resolved: ResolvedConfig, state: TransformState) -> list[nn.Module]:
    """Return one encoder for each vocabulary, with all the fields that share it."""
    exported = exported_of(resolved.features)
    sharing = _sharing(resolved)
    owners = {name: resolved.field(name) for name in sharing}
    return [exported[owner.feature].ids_encoder(owner, sharing[name], state) for name, owner in owners.items()]


def _sharing(resolved: ResolvedConfig) -> dict[str, list[Field]]:
    """Return the fields of each vocabulary, by the field that owns it."""
    sharing: dict[str, list[Field]] = {}
    for field in resolved.fields:
        if field.has_ids:
            sharing.setdefault(resolved.vocabulary_of(field), []).append(field)
    return sharing


def _sides(resolved: ResolvedConfig, layout: Layout, input_map: TowerInputMap, of_user: set[str]) -> Sides:
    fields = [resolved.field(name) for name in input_map.fields]
    widths = [layout.scheme_of(field.name).width(layout.field_lookups[field.name].feature_index) for field in fields]
    targets = {name for behaviour in input_map.behaviours.values() for name in behaviour.targets}
    by = resolved.config.calibration.by
    return Sides(
        resolved.features,
        layout.aligned,
        of_user,
        fields=[(is_of_user(resolved, field, of_user), width) for field, width in zip(fields, widths, strict=True)],
        repeated=[_repeated(resolved, fields, of_user) for fields in _sharing(resolved).values()],
        targets=[name for name in sorted(targets) if is_of_user(resolved, resolved.field(name), of_user)],
        calibrated_by=by if by is not None and is_of_user(resolved, resolved.field(by), of_user) else None,
    )


def _repeated(resolved: ResolvedConfig, fields: list[Field], of_user: set[str]) -> list[str]:
    """Return the users' inputs of those fields that are made of inputs of candidates, too."""
    mixed = [field for field in fields if not is_of_user(resolved, field, of_user)]
    inputs = {name for field in mixed for name in resolved.features[field.feature].inputs(field.feature)}
    return sorted(inputs & of_user)


def _numbers(resolved: ResolvedConfig, state: TransformState, of_user: set[str]) -> Numbers:
    """Return one encoder for each type of numbers of each side, and the order of the fields among what they give."""
    exported = exported_of(resolved.features)
    fields = resolved.fields_of_kind("number")
    groups: dict[tuple[bool, type[ExportedFeature[Any]]], dict[str, ExportedFeature[Any]]] = {}
    for field in sorted(fields, key=lambda field: not is_of_user(resolved, field, of_user)):
        feature = exported[field.feature]
        groups.setdefault((is_of_user(resolved, field, of_user), type(feature)), {})[field.name] = feature
    given = [name for features in groups.values() for name in features]
    encoders = [kind.numbers_encoder(features, state) for (_, kind), features in groups.items()]
    counts = [len(features) for (of_user, _), features in groups.items() if of_user]
    return Numbers(encoders, [given.index(field.name) for field in fields], (len(counts), sum(counts)))


def table_readers(
    layout: Layout, weights: Mapping[str, Tensor], precisions: Mapping[str, ServedPrecision] | None = None
) -> list[TableReader]:
    """Return the serving form of each scheme with the fields it serves.

    Args:
        layout: the embedding layer.
        weights: physical table -> (rows, dim); rows that keep their precision are not copied.
        precisions: table of the configuration -> precision of its rows; as configured where none is given.
    """
    readers = []
    table_of = {scheme.name: table for table, schemes in layout.schemes_by_table.items() for scheme in schemes}
    for name, scheme in layout.schemes.items():
        form = scheme.serving(weights)
        store_rows(form, (precisions or {}).get(table_of[name], "fp32"))
        feature_indices = {
            field: one.feature_index for field, one in layout.field_lookups.items() if one.scheme == name
        }
        readers.append(TableReader(form, feature_indices))
    return readers


def _pooling(resolved: ResolvedConfig, name: str) -> str:
    field = resolved.field(name)
    return field.pooling if field.is_list else "none"
