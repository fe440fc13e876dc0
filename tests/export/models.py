"""Small models made of a YAML text and a frame, and a slow second opinion on what they should score."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys.config import ResolvedConfig, load_config, resolve
from recsys.embeddings import Layout
from recsys.embeddings.vocabularies import feature_vocabularies
from recsys.export import export_module
from recsys.export.graph import Graph
from recsys.features.fit import fit
from recsys.features.state import TransformState
from recsys.features.transform import canonicalize, encode
from recsys.model import TowerInputMap, tower_inputs
from recsys.towers import Behaviour, Tower, build_tower


@dataclass(frozen=True)
class Made:
    resolved: ResolvedConfig
    state: TransformState
    layout: Layout
    tower: Tower
    weights: dict[str, Tensor]

    def export(self) -> Graph:
        return export_module(self.resolved, self.state, self.layout, self.tower, self.weights)

    def inputs(self, frame: pl.DataFrame) -> dict[str, Tensor]:
        return tensors(canonicalize(frame, self.resolved, self.state))


def make(text: str, train: pl.DataFrame, folder: Path) -> Made:
    """Fit the transform of a YAML text to rows, and draw a model at random."""
    path = folder / "config.yaml"
    path.write_text(text)
    resolved = resolve(load_config(path), train.columns)
    state = fit([train], resolved)
    input_map = TowerInputMap.of(resolved)
    layout = Layout(
        resolved, feature_vocabularies(resolved, state), jagged=bool(input_map.behaviours), regularized=False
    )
    torch.manual_seed(7)
    tower = build_tower(tower_inputs(resolved, layout, input_map), resolved.config.model)
    for parameter in tower.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    weights = {name: torch.randn(table.rows, table.dim) for name, table in layout.physical_tables.items()}
    return Made(resolved, state, layout, tower.eval(), weights)


def tensors(frame: pl.DataFrame) -> dict[str, Tensor]:
    """Lay out canonical columns as the exported graph takes them, value by value."""
    found = {}
    for name, dtype in frame.schema.items():
        values = frame[name].to_list()
        if isinstance(dtype, pl.List):
            found[f"{name}.values"] = torch.tensor([v for row in values for v in row], dtype=torch.int64)
            found[f"{name}.lengths"] = torch.tensor([len(row) for row in values], dtype=torch.int64)
        else:
            found[name] = torch.tensor(values, dtype=torch.float64 if dtype == pl.Float64 else torch.int64)
    return found


@torch.no_grad()
def slow_scores(made: Made, frame: pl.DataFrame) -> np.ndarray:
    """Score row by row from the prepared columns, without export, batches or jagged tensors."""
    prepared = encode(canonicalize(frame, made.resolved, made.state), made.resolved, made.state).to_pylist()
    rows = [_score_row(made, row) for row in prepared]
    return np.stack(rows) if rows else np.zeros((0, len(made.resolved.config.labels)))


def _score_row(made: Made, row: dict[str, object]) -> np.ndarray:
    input_map = TowerInputMap.of(made.resolved)
    vectors = {f.name: _vectors(made, f.name, row[f.name]) for f in made.resolved.fields if f.kind != "number"}
    fields = [_pooled(made.resolved.field(name).pooling, vectors[name]) for name in input_map.fields]
    numbers = torch.tensor([[row[f.name] for f in made.resolved.fields if f.kind == "number"]], dtype=torch.float32)
    behaviours = []
    for sequences, targets_of in input_map.behaviours.values():
        targets = [vectors[name] for name in targets_of]
        history = torch.cat([vectors[name] for name in sequences], dim=1)
        behaviours.append(Behaviour(torch.cat(targets, dim=1), history, torch.tensor([len(history)])))
    flat = torch.cat(fields).unsqueeze(0) if fields else torch.zeros(1, 0)
    return torch.sigmoid(made.tower(flat, numbers, behaviours)[0].double()).numpy()


def _vectors(made: Made, field: str, value: object) -> Tensor:
    read = made.layout.field_lookups[field]
    scheme = made.layout.schemes[read.scheme]
    ids = torch.tensor(value if isinstance(value, list) else [value], dtype=torch.int64)
    rows = scheme.remap(ids, read.feature_index)
    looked_up = [made.weights[table.name][rows[k]] for k, table in enumerate(scheme.tables(read.feature_index))]
    return scheme.combine(looked_up, ids, read.feature_index)


def _pooled(pooling: str, vectors: Tensor) -> Tensor:
    return vectors.sum(dim=0) / (max(len(vectors), 1) if pooling == "mean" else 1)


def ids_and_numbers(made: Made, frame: pl.DataFrame) -> tuple[dict[str, list[object]], np.ndarray]:
    """Run the graph's entrance and encoders, as prepared columns: ids by field, lists as lists, numbers (B, N)."""
    graph = made.export()
    raw, lengths, num_rows = graph.inputs(made.inputs(frame))
    ids: dict[str, Tensor] = {}
    for encoder in graph.encoders:
        encoder(raw, ids)
    found: dict[str, list[object]] = {}
    for field in made.resolved.fields:
        if not field.has_ids:
            continue
        values = ids[field.name]
        if not field.is_list:
            found[field.name] = values.tolist()
        else:
            found[field.name] = [row.tolist() for row in values.split(lengths[field.name].tolist())]
    return found, graph.numbers(raw, num_rows).numpy()
