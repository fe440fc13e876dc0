"""AutoInt: feature interactions by self-attention over the fields of a row.

Dimension key: B rows of a batch, M embeddings of a row (fields and numbers), D width of an embedding, H heads,
W width of a head, T tasks.
"""

import torch
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]
from torch.nn import functional

from recsys.config.towers.autoint import AutoIntModel
from recsys.errors import ConfigError
from recsys.kernels.attention import attend
from recsys.kernels.tensors import takes
from recsys.towers.base import Behaviour, Tower, TowerInputs
from recsys.towers.layers import Dropout, FieldMatrix, drop_out, init_linear, mlp_of
from recsys.towers.ranking import Ranking, split_linear

__all__ = ["AutoInt", "InteractingLayer"]


class AutoInt(Tower):
    """Interacting layers over the embeddings of fields and numbers; with `mlp` a parallel network (AutoInt+).

    Paper: Song et al., "AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks", CIKM 2019,
    sections 4.3-4.6. With `layers: 0` it is logistic regression on the embeddings.
    DIFF: the paper's public code has ReLU and a bias on the projections too; here, as in the paper, they are linear.
    `layer_norm` is that of the code with torch's epsilon, 1e-5 in place of 1e-8.

    Raises:
        ConfigError: `attention_dim` is not a multiple of `heads`.
    """

    section = AutoIntModel

    def __init__(self, inputs: TowerInputs, config: AutoIntModel) -> None:
        super().__init__()
        if config.attention_dim % config.heads:
            raise ConfigError(
                f"model.attention_dim: must be a multiple of heads ({config.heads}), got {config.attention_dim}"
            )
        dim = inputs.dims[0] if inputs.dims else config.dim
        num_rows = len(inputs.dims) + inputs.num_numbers
        self.rows = FieldMatrix(len(inputs.dims), inputs.num_numbers, dim)
        widths = [dim] + [config.attention_dim] * config.layers
        self.layers = nn.ModuleList(InteractingLayer(width, config) for width in widths[:-1])
        self.output = nn.Linear(num_rows * widths[-1], inputs.num_tasks)
        init_linear(self.output, before=None)
        self.mlp = mlp_of(config, num_inputs=num_rows * dim, num_outputs=inputs.num_tasks) if config.mlp else None

    def forward(self, fields: Tensor, numbers: Tensor, behaviours: list[Behaviour]) -> Tensor:
        del behaviours
        embedded_BMD = self.rows(fields, numbers)
        rows_BMD = embedded_BMD
        for layer in self.layers:
            rows_BMD = layer(rows_BMD)
        logits_BT: Tensor = self.output(rows_BMD.flatten(1))
        if self.mlp is not None:
            logits_BT = logits_BT + self.mlp(embedded_BMD.flatten(1))
        return logits_BT

    def rank(self, ranking: Ranking) -> Tensor:
        """Return the logits; the users' part of the first projections and products is worked out once a user."""
        embedded = self.rows.split(ranking.fields, ranking.numbers)
        columns = torch.cat([embedded.user_columns, embedded.candidate_columns])
        rows_BMD = embedded.of_candidate[:, :0]
        for i, layer in enumerate(self.layers):
            if i > 0:
                rows_BMD = layer(rows_BMD)
            else:
                of_user, of_candidate = self.rows.matrix(embedded.of_user), self.rows.matrix(embedded.of_candidate)
                rows_BMD = layer.rank(of_user, of_candidate, ranking.users)  # type: ignore[operator]
        if len(self.layers) == 0:
            logits_BT = split_linear(embedded, ranking.users, self.output.weight, self.output.bias)
        else:
            # The users' rows come first, for attention does not ask for their order.
            order_M = torch.div(columns[:: self.rows.dim], self.rows.dim, rounding_mode="floor")
            weight_TMD = self.output.weight.view(self.output.weight.shape[0], order_M.numel(), rows_BMD.shape[2])
            weight = weight_TMD.index_select(1, order_M).flatten(1)
            logits_BT = functional.linear(rows_BMD.flatten(1), weight, self.output.bias)
        if self.mlp is not None:
            logits_BT = logits_BT + self.mlp.rank(embedded, ranking.users)
        return logits_BT

    @torch.jit.unused
    def attention_maps(self, fields: Tensor, numbers: Tensor) -> list[Tensor]:
        """Return what each layer attends to: (B, H, M, M), row m saying how much m takes from every other."""
        rows_BMD = self.rows(fields, numbers)
        maps = []
        for layer in self.layers:
            assert isinstance(layer, InteractingLayer)
            maps.append(layer.attention(rows_BMD))
            rows_BMD = layer(rows_BMD)
        return maps


class InteractingLayer(nn.Module):
    """Multi-head self-attention over the rows, a projected residual, and ReLU.

    Paper: AutoInt, section 4.4, equations 5-8. `layer_norm` (after the ReLU), `scale` and dropout of the attention
    weights are from its public code.
    On a CPU a kernel of `recsys.kernels` does it. Its plain form has matrix products, not
    `scaled_dot_product_attention`, which is no faster (4096 rows, M = 39: 381 and 389 ms a layer).

    Shape:
        rows: (B, M, width of the rows).
        kept: (B, M) bool, False for rows that are not attended to; None keeps all. A row of a batch that keeps
            nothing attends to everything.
        output: (B, M, H * W).
    """

    def __init__(self, num_inputs: int, config: AutoIntModel) -> None:
        super().__init__()
        dim = config.attention_dim
        self.num_heads = config.heads
        self.head_dim = dim // config.heads
        self.scale = self.head_dim**-0.5 if config.scale else 1.0
        self.query = nn.Linear(num_inputs, dim, bias=False)
        self.key = nn.Linear(num_inputs, dim, bias=False)
        self.value = nn.Linear(num_inputs, dim, bias=False)
        self.residual = nn.Linear(num_inputs, dim, bias=False) if config.residual else None
        self.dropout = Dropout(config.attention_dropout)
        self.norm = nn.LayerNorm(dim) if config.layer_norm else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill all projections after Glorot, as the public code does."""
        for name, parameter in self.named_parameters():
            if not name.startswith("norm."):
                nn.init.xavier_uniform_(parameter)

    def forward(self, rows_BMD: Tensor, kept_BM: Tensor | None = None) -> Tensor:
        result_BMD = _interact(
            rows_BMD,
            kept_BM,
            self.query.weight,
            self.key.weight,
            self.value.weight,
            self.residual.weight if self.residual is not None else None,
            self.num_heads,
            self.scale,
            self.dropout.p if self.training else 0.0,
        )
        if self.norm is not None:
            result_BMD = self.norm(result_BMD)
        return result_BMD

    def rank(self, of_user_GAD: Tensor, of_candidate_BCD: Tensor, user_B: Tensor) -> Tensor:
        """Return the output for rows of which the users' stand once, those first, (B, A + C, H * W)."""
        weights = [self.query.weight, self.key.weight, self.value.weight]
        if self.residual is not None:
            weights.append(self.residual.weight)
        weight = torch.cat(weights)
        of_user_BAD = functional.linear(of_user_GAD, weight).index_select(0, user_B)
        projected = torch.cat([of_user_BAD, functional.linear(of_candidate_BCD, weight)], dim=1)
        parts = projected.chunk(len(weights), dim=2)
        attention_BHMM = _attention(parts[0], parts[1], None, self.num_heads, self.scale)
        result_BMD = _mix(attention_BHMM, parts[2], parts[3] if len(parts) > 3 else None)
        if self.norm is not None:
            result_BMD = self.norm(result_BMD)
        return result_BMD

    def attention(self, rows_BMD: Tensor, kept_BM: Tensor | None = None) -> Tensor:
        """Return the attention weights, (B, H, M, M); they are not negative and add up to 1 in the last dimension."""
        return _attention(self.query(rows_BMD), self.key(rows_BMD), kept_BM, self.num_heads, self.scale)


@torch.fx.wrap
def _interact(
    rows_BMD: Tensor,
    kept_BM: Tensor | None,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    residual: Tensor | None,
    num_heads: int,
    scale: float,
    dropout: float,
) -> Tensor:
    """Return relu(dropout(attention) v + r), (B, M, H * W)."""
    if not is_scripting():  # noqa: SIM102  # TorchScript leaves out a branch by this form alone
        if takes(rows_BMD):
            weights = [query, key, value] if residual is None else [query, key, value, residual]
            return attend(rows_BMD, weights, kept_BM=kept_BM, num_heads=num_heads, scale=scale, dropout=dropout)
    attention_BHMM = _attention(
        functional.linear(rows_BMD, query), functional.linear(rows_BMD, key), kept_BM, num_heads, scale
    )
    of_residual = functional.linear(rows_BMD, residual) if residual is not None else None
    return _mix(drop_out(attention_BHMM, dropout, training=True), functional.linear(rows_BMD, value), of_residual)


def _mix(attention_BHMM: Tensor, value_BMD: Tensor, residual_BMD: Tensor | None) -> Tensor:
    """Return relu(attention v + r), (B, M, H * W)."""
    result_BMD = (attention_BHMM @ _heads(value_BMD, attention_BHMM.shape[1])).transpose(1, 2).flatten(2)
    if residual_BMD is not None:
        result_BMD = result_BMD + residual_BMD
    return torch.relu(result_BMD)


def _attention(query_BMD: Tensor, key_BMD: Tensor, kept_BM: Tensor | None, num_heads: int, scale: float) -> Tensor:
    scores_BHMM = (_heads(query_BMD, num_heads) * scale) @ _heads(key_BMD, num_heads).transpose(2, 3)
    if kept_BM is not None:
        # Not -inf, which would make NaN of a row of a batch that keeps nothing.
        scores_BHMM = scores_BHMM.masked_fill(~kept_BM[:, None, None, :], -1e30)
    return torch.softmax(scores_BHMM, dim=-1)


def _heads(rows_BMD: Tensor, num_heads: int) -> Tensor:
    """Cut each row into the parts of the heads, (B, H, M, W)."""
    num_examples, num_rows, width = rows_BMD.shape
    return rows_BMD.view(num_examples, num_rows, num_heads, width // num_heads).transpose(1, 2)
