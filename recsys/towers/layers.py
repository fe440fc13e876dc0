"""Layers that more than one tower is made of.

Dimension key: B rows of a batch, V entries of all histories of a batch laid end to end, N numbers, F fields,
M = F + N embeddings of a row, D width of an embedding.
"""

import torch
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]
from torch.nn import functional

from recsys.config.towers import Activation, MlpSection
from recsys.config.towers.autoint import AutoIntModel
from recsys.kernels.dice import bend, moments
from recsys.kernels.draws import draw, draw_factors, num_dropped
from recsys.kernels.hidden import activate
from recsys.kernels.tensors import takes
from recsys.ranks.batch_norm import MOMENTUM, BatchNorm, batch_norm, is_distributed
from recsys.towers.ranking import SplitColumns, side_by_side, split_linear

__all__ = [
    "BatchNorm",
    "Dice",
    "Dropout",
    "FieldMatrix",
    "Mlp",
    "NumberEmbedding",
    "activation_layer",
    "drop_out",
    "init_linear",
    "mlp_of",
    "segment_expand",
    "segment_softmax",
    "segment_sum",
]


def segment_expand(rows_BD: Tensor, lengths_B: Tensor, num_entries: int) -> Tensor:
    """Repeat each row once for each entry of its segment, (V, D).

    `num_entries` is V: it is known on the host, which saves waiting for the device to add up the lengths.

    Example:
        >>> segment_expand(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([2, 0, 1]), 3).tolist()
        [[1.0], [1.0], [3.0]]
    """
    return rows_BD.index_select(0, torch.repeat_interleave(lengths_B, output_size=num_entries))


def segment_sum(entries_VD: Tensor, lengths_B: Tensor) -> Tensor:
    """Add up the entries of each segment, (B, D) or (B,); an empty segment gives zeros.

    Example:
        >>> segment_sum(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2, 0, 1])).tolist()
        [3.0, 0.0, 3.0]
    """
    # unsafe: skips the check that the lengths add up to V, which would wait for the device.
    return torch.segment_reduce(entries_VD, "sum", lengths=lengths_B, axis=0, unsafe=True, initial=0.0)


def segment_softmax(scores_V: Tensor, lengths_B: Tensor) -> Tensor:
    """Softmax over the entries of each segment, (V,), in float32 at least.

    Example:
        >>> segment_softmax(torch.tensor([7.0, 7.0, -9.0]), torch.tensor([2, 0, 1])).tolist()
        [0.5, 0.5, 1.0]
    """
    num_entries = scores_V.shape[0]
    scores_V = scores_V.to(torch.promote_types(scores_V.dtype, torch.float32))
    top_B = torch.segment_reduce(scores_V.detach(), "max", lengths=lengths_B, axis=0, unsafe=True)
    powers_V = torch.exp(scores_V - segment_expand(top_B, lengths_B, num_entries))
    return powers_V / segment_expand(segment_sum(powers_V, lengths_B), lengths_B, num_entries)


class Dice(nn.Module):
    """Activation that bends where the batch has its mean: f(s) = p s + (1 - p) alpha s, p = sigmoid((s - E) / std).

    Paper: Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018, section 5.3.
    In training E and Var are those of the batch on all ranks, and the gradient passes through them; in eval mode, and
    for a batch of fewer than two rows, they are moving averages. alpha is learned for each channel, from 0 as in the
    public code.

    Shape:
        rows: (rows, channels).
        output: the same.
    """

    def __init__(self, num_channels: int, *, eps: float = 1e-8) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(num_channels))
        self.norm = BatchNorm(num_channels, affine=False, eps=eps)

    def forward(self, rows: Tensor) -> Tensor:
        norm = self.norm
        return _dice(rows, self.alpha, norm.running_mean, norm.running_var, norm.training, norm.eps)


@torch.fx.wrap
def _dice(rows: Tensor, alpha: Tensor, mean: Tensor, var: Tensor, training: bool, eps: float) -> Tensor:
    if not is_scripting():  # noqa: SIM102  # TorchScript leaves out a branch by this form alone
        if takes(rows) and not (training and is_distributed()):
            if not training or len(rows) < 2:
                return bend(rows, alpha, mean, var, of_rows=False, eps=eps)
            return bend(rows, alpha, *_batch_moments(rows, mean, var), of_rows=True, eps=eps)
    gate = torch.sigmoid(batch_norm(rows, None, mean, var, None, None, training, eps))
    return rows * (alpha + (1 - alpha) * gate)


@torch.no_grad()
def _batch_moments(rows: Tensor, moving_mean: Tensor, moving_var: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the rows, of which there are two at least, and take them into moving averages."""
    mean, var = moments(rows)
    moving_mean.lerp_(mean, MOMENTUM)
    moving_var.lerp_(var * (len(rows) / (len(rows) - 1)), MOMENTUM)
    return mean, var


def activation_layer(name: Activation, width: int) -> nn.Module:
    """Build the activation called `name` for `width` channels."""
    if name == "prelu":
        return nn.PReLU(width)
    if name == "dice":
        return Dice(width)
    plain: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
    return plain[name]()


def init_linear(linear: nn.Linear, *, before: Activation | None) -> None:
    """Fill a layer: Kaiming before an activation that halves the signal, Xavier otherwise; no bias."""
    if before in ("relu", "prelu", "dice"):
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
    else:
        nn.init.xavier_normal_(linear.weight)
    nn.init.zeros_(linear.bias)


def drop_out(input: Tensor, rate: float, *, training: bool) -> Tensor:
    """Return the input with some elements zero and the others scaled; on a CPU `draw_factors` says which."""
    if not is_scripting():  # noqa: SIM102  # TorchScript leaves out a branch by this form alone
        if training and rate > 0 and input.device.type == "cpu":
            return input * draw_factors(input.shape, rate, input.dtype)
    return functional.dropout(input, rate, training)


class Dropout(nn.Dropout):
    """`nn.Dropout` by `drop_out`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with some elements zero and the others scaled, of the same shape."""
        return drop_out(input, self.p, training=self.training)


class Mlp(nn.Module):
    """Hidden layers (linear, batch norm, activation, dropout) and a linear output layer.

    Shape:
        rows: (B, num_inputs).
        output: (B, num_outputs).
    """

    def __init__(
        self,
        num_inputs: int,
        hidden: tuple[int, ...],
        *,
        num_outputs: int,
        activation: Activation = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in hidden:
            linear = nn.Linear(num_inputs, width)
            init_linear(linear, before=activation)
            layers.append(linear)
            if batch_norm:
                layers.append(BatchNorm(width))
            layers.append(activation_layer(activation, width))
            if dropout > 0:
                layers.append(Dropout(dropout))
            num_inputs = width
        output = nn.Linear(num_inputs, num_outputs)
        init_linear(output, before=None)
        self.layers = nn.Sequential(*layers, output)

    def forward(self, rows: Tensor) -> Tensor:
        if not is_scripting():  # noqa: SIM102  # TorchScript leaves out a branch by this form alone
            if isinstance(rows, Tensor) and takes(rows):  # torch.fx traces the plain form
                return _with_kernels(self.layers, rows)
        result: Tensor = self.layers(rows)
        return result

    def rank(self, rows: SplitColumns, user_B: Tensor) -> Tensor:
        """Return the output for rows of which the users' part stands once: (B, num_outputs)."""
        first = self.layers[0]
        result = split_linear(rows, user_B, first.weight, first.bias)  # type: ignore[arg-type]
        for i, layer in enumerate(self.layers):
            if i > 0:
                result = layer(result)
        return result


@torch.jit.unused
def _with_kernels(layers: nn.Sequential, rows: Tensor) -> Tensor:
    """Call layers one after the other, but batch norm, the ReLU after it and dropout as one kernel in training."""
    waiting = list(layers)
    while waiting:
        layer = waiting.pop(0)
        if not (isinstance(layer, BatchNorm) and isinstance(waiting[0], nn.ReLU) and _is_native(layer, rows)):
            rows = layer(rows)
            continue
        waiting.pop(0)
        dropout = waiting.pop(0) if isinstance(waiting[0], Dropout) else nn.Identity()
        rate = dropout.p if isinstance(dropout, Dropout) and dropout.training else 0.0
        rows = _norm_relu_dropout(rows, layer, rate)
    return rows


def _is_native(norm: BatchNorm, rows: Tensor) -> bool:
    """Return whether a kernel takes rows, which must be normalized by their own moments alone."""
    return norm.training and len(rows) > 1 and takes(rows) and not is_distributed()


def _norm_relu_dropout(rows: Tensor, norm: BatchNorm, rate: float) -> Tensor:
    """Return dropout(relu(norm(rows))), and take the moments of the rows into the moving averages."""
    assert norm.weight is not None
    assert norm.bias is not None
    mean, var = _batch_moments(rows, norm.running_mean, norm.running_var)
    draws = draw(rows.numel()).view(rows.shape) if rate > 0 else None
    return activate(
        rows, mean, var, norm.weight, norm.bias, draws_RC=draws, num_dropped=num_dropped(rate), eps=norm.eps
    )


def mlp_of(config: AutoIntModel | MlpSection, *, num_inputs: int, num_outputs: int) -> Mlp:
    """Build the network that `mlp`, `activation`, `dropout` and `batch_norm` of a model section describe."""
    return Mlp(
        num_inputs,
        config.mlp,
        num_outputs=num_outputs,
        activation=config.activation,
        dropout=config.dropout,
        batch_norm=config.batch_norm,
    )


class NumberEmbedding(nn.Module):
    """One learned vector for each number, times the number: e_m = v_m x_m. A number of 0 gives the zero vector.

    Paper: Song et al., "AutoInt", CIKM 2019, section 4.3. Drawn from N(0, 0.01), as in its public code.

    Shape:
        numbers: (B, N).
        output: (B, N, D).
    """

    def __init__(self, num_numbers: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_numbers, dim))
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, numbers: Tensor) -> Tensor:
        return numbers.unsqueeze(2) * self.weight

    def split(self, numbers: SplitColumns) -> SplitColumns:
        """Return the vectors end to end, (B, N * D), for numbers of which the users' stand once."""
        return SplitColumns(
            (numbers.of_user.unsqueeze(2) * self.weight.index_select(0, numbers.user_columns)).flatten(1),
            (numbers.of_candidate.unsqueeze(2) * self.weight.index_select(0, numbers.candidate_columns)).flatten(1),
            self._components(numbers.user_columns),
            self._components(numbers.candidate_columns),
        )

    def _components(self, columns: Tensor) -> Tensor:
        """Return the places of the components of the vectors of some numbers."""
        dim = self.weight.shape[1]
        return (columns.unsqueeze(1) * dim + torch.arange(dim, device=columns.device)).flatten()


class FieldMatrix(nn.Module):
    """The embeddings of a row as a matrix: fields of one width first, then the numbers' embeddings.

    Shape:
        fields: (B, F * D).
        numbers: (B, N).
        output: (B, M, D).
    """

    def __init__(self, num_fields: int, num_numbers: int, dim: int) -> None:
        super().__init__()
        self.num_fields = num_fields
        self.dim = dim
        self.of_numbers = NumberEmbedding(num_numbers, dim) if num_numbers else None

    def forward(self, fields: Tensor, numbers: Tensor) -> Tensor:
        rows_BMD = fields.view(fields.shape[0], self.num_fields, self.dim)
        if self.of_numbers is not None:
            rows_BMD = torch.cat([rows_BMD, self.of_numbers(numbers)], dim=1)
        return rows_BMD

    def split(self, fields: SplitColumns, numbers: SplitColumns) -> SplitColumns:
        """Return the same matrix, its rows end to end, (B, M * D), for rows of which the users' part stands once."""
        if self.of_numbers is None:
            return fields
        return side_by_side([fields, self.of_numbers.split(numbers)])

    def matrix(self, flat: Tensor) -> Tensor:
        """Cut some of the rows that lie end to end, (B, A), into a matrix (B, A / D, D)."""
        return flat.view(flat.shape[0], flat.shape[1] // self.dim, self.dim)
