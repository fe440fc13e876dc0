"""The contract of a tower: a suite that runs on any tower, of this package or of your own.

    class TestMyTower(TowerContract):
        cases = cases_of(MyTower.section)

Dimension key: B rows of a batch.
"""

import io
from collections.abc import Collection, Mapping
from itertools import accumulate, product
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from recsys.config.towers import TOWERS, TowerSection
from recsys.testing.cases import example_cases
from recsys.towers import Behaviour, BehaviourInputs, Ranking, SplitColumns, Tower, TowerInputs, build_tower

__all__ = ["INPUTS", "TowerContract", "draw_batch", "row_of", "tower_cases"]

INPUTS = TowerInputs(
    dims=[8, 8, 8],
    num_numbers=2,
    behaviours=[
        BehaviourInputs(target_fields=[1, 2], dim=16, target_dim=16),
        BehaviourInputs(target_fields=[0], dim=12, target_dim=8),
    ],
    num_tasks=1,
)

"""Inputs for which the towers under test are built: three fields, two numbers, two histories, of which one has more
than the candidate."""
Batch = tuple[Tensor, Tensor, list[Behaviour]]


def draw_batch(inputs: TowerInputs, num_rows: int, *, seed: int = 0, lengths: list[int] | None = None) -> Batch:
    """Draw the arguments of `Tower.forward`; histories have the given lengths or cycle through 2, 0, 1, 3."""
    draw = torch.Generator().manual_seed(seed)
    lengths = [[2, 0, 1, 3][i % 4] for i in range(num_rows)] if lengths is None else lengths
    return (
        torch.randn(num_rows, sum(inputs.dims), generator=draw),
        torch.randn(num_rows, inputs.num_numbers, generator=draw),
        [
            Behaviour(
                target=torch.randn(num_rows, behaviour.target_dim, generator=draw),
                history=torch.randn(sum(lengths), behaviour.dim, generator=draw),
                lengths=torch.tensor(lengths, dtype=torch.int32),
            )
            for behaviour in inputs.behaviours
        ],
    )


def draw_ranking(
    inputs: TowerInputs, candidates: list[int], *, user_fields: list[int], user_numbers: list[int]
) -> tuple[Ranking, Batch]:
    """Draw users with so many candidates each, and return them in both forms: for `Tower.rank`, and as plain rows.

    Args:
        inputs: what the tower is built for.
        candidates: number of candidates of each user.
        user_fields: fields that are the users'; all others are the candidates'.
        user_numbers: the same of numbers.
    """
    num_users, num_candidates = len(candidates), sum(candidates)
    user_B = [user for user, number in enumerate(candidates) for _ in range(number)]
    of_users, of_candidates = draw_batch(inputs, num_users), draw_batch(inputs, num_candidates, seed=1)
    ends = list(accumulate(inputs.dims))
    field_columns = [column for field in user_fields for column in range(ends[field] - inputs.dims[field], ends[field])]
    behaviours, plain = [], []
    for of_user, of_candidate in zip(of_users[2], of_candidates[2], strict=True):
        behaviours.append(of_user._replace(target=of_candidate.target))
        histories = torch.split(of_user.history, of_user.lengths.tolist())
        history = torch.cat([histories[user] for user in user_B] or [of_user.history[:0]])
        plain.append(Behaviour(of_candidate.target, history, of_user.lengths[user_B]))
    fields = _split(of_users[0], of_candidates[0], field_columns)
    numbers = _split(of_users[1], of_candidates[1], user_numbers)
    rows = [matrix.clone() for matrix in of_candidates[:2]]
    rows[0][:, field_columns] = of_users[0][user_B][:, field_columns]
    rows[1][:, user_numbers] = of_users[1][user_B][:, user_numbers]
    ranking = Ranking(
        fields, numbers, behaviours, torch.tensor(candidates, dtype=torch.int64), torch.tensor(user_B).long()
    )
    return ranking, (rows[0], rows[1], plain)


def _split(of_users: Tensor, of_candidates: Tensor, user_columns: list[int]) -> SplitColumns:
    others = [column for column in range(of_users.shape[1]) if column not in user_columns]
    columns = torch.tensor(user_columns, dtype=torch.int64), torch.tensor(others, dtype=torch.int64)
    return SplitColumns(of_users[:, user_columns], of_candidates[:, others], *columns)


class _Flat(nn.Module):
    """A tower whose inputs are a dictionary, as those of exported models are."""

    def __init__(self, tower: Tower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        number = (len(inputs) - 2) // 3
        behaviours = [Behaviour(*(inputs[f"{part}{i}"] for part in Behaviour._fields)) for i in range(number)]
        logits: Tensor = self.tower(inputs["fields"], inputs["numbers"], behaviours)
        return logits


def _flat(fields: Tensor, numbers: Tensor, behaviours: list[Behaviour]) -> dict[str, Tensor]:
    parts = {f"{part}{i}": tensor for i, one in enumerate(behaviours) for part, tensor in one._asdict().items()}
    return {"fields": fields, "numbers": numbers, **parts}


class _Ranker(nn.Module):
    """The part of an exported model that calls `Tower.rank`, so that it is compiled."""

    def __init__(self, tower: Tower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, ranking: Ranking) -> Tensor:
        return self.tower.rank(ranking)


def row_of(arguments: Batch, index: int) -> Batch:
    """Cut one row out of a batch."""
    fields, numbers, behaviours = arguments
    return fields[index : index + 1], numbers[index : index + 1], [_row(b, index) for b in behaviours]


def _row(behaviour: Behaviour, index: int) -> Behaviour:
    end = int(behaviour.lengths[: index + 1].sum())
    start = end - int(behaviour.lengths[index])
    return Behaviour(
        behaviour.target[index : index + 1], behaviour.history[start:end], behaviour.lengths[index : index + 1]
    )


def tower_cases(*sections: type[TowerSection]) -> dict[str, TowerSection]:
    """Return the examples of sections by a name for each; without sections, those of all registered towers."""
    return {name: TOWERS[keys["tower"]].model_validate(keys) for name, keys in example_cases(TOWERS, sections).items()}


class TowerContract:
    """Mixin of tests of towers. Name your subclass Test..., and say in `cases` which towers it tests.

    Attributes:
        cases: what to build, by a name for each; the examples of all registered towers by default.
    """

    pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.*` is (deprecated|not supported):DeprecationWarning")
    cases: ClassVar[Mapping[str, TowerSection]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test that takes `model` once for each case."""
        if "model" in metafunc.fixturenames:
            cases = self.cases or tower_cases()
            metafunc.parametrize("model", cases.values(), ids=cases.keys())

    def parameters_without_effect(self, model: TowerSection) -> Collection[str]:  # noqa: ARG002
        """Return names of parameters that change no logit, such as a bias in front of a softmax; override it."""
        return ()

    @pytest.fixture(autouse=True)
    def _seed(self) -> None:
        torch.manual_seed(0)

    @pytest.mark.parametrize("num_tasks", [1, 2])
    @pytest.mark.parametrize("num_rows", [1, 5])
    def test_there_is_one_finite_logit_for_each_row_and_task(
        self, model: TowerSection, num_tasks: int, num_rows: int
    ) -> None:
        inputs = INPUTS._replace(num_tasks=num_tasks)
        tower = build_tower(inputs, model)
        for mode in (True, False):
            logits = tower.train(mode)(*draw_batch(inputs, num_rows))
            assert logits.shape == (num_rows, num_tasks)
            assert logits.isfinite().all()

    def test_each_task_has_a_logit_of_its_own(self, model: TowerSection) -> None:
        inputs = INPUTS._replace(num_tasks=2)
        torch.manual_seed(0)
        logits = build_tower(inputs, model)(*draw_batch(inputs, 5))
        assert not torch.allclose(logits[:, 0], logits[:, 1])

    def test_the_gradient_reaches_every_parameter_and_every_input(self, model: TowerSection) -> None:
        tower = trained(model)
        fields, numbers, behaviours = draw_batch(INPUTS, 16)
        inputs = [fields.requires_grad_(), numbers.requires_grad_()]
        if tower.section.uses_behaviours:
            inputs += [tensor.requires_grad_() for b in behaviours for tensor in (b.target, b.history)]
        tower.zero_grad()
        tower(fields, numbers, behaviours).square().sum().backward()
        parameters = dict(tower.named_parameters())
        for name in self.parameters_without_effect(model):
            del parameters[name]
        for name, tensor in [*parameters.items(), *((f"input {i}", tensor) for i, tensor in enumerate(inputs))]:
            assert tensor.grad is not None, name
            assert tensor.grad.isfinite().all(), name
            assert tensor.grad.abs().sum() > 0, name

    def test_every_row_depends_on_all_that_belongs_to_it(self, model: TowerSection) -> None:
        tower = trained(model).eval()
        fields, numbers, behaviours = draw_batch(INPUTS, 100)

        def change(*arguments: object) -> Tensor:
            changed: Tensor = (tower(*arguments) - tower(fields, numbers, behaviours)).squeeze(1).abs() > 1e-6
            return changed

        # Not every row: a small network with ReLU is flat in places.
        assert change(fields + 1, numbers, behaviours).float().mean() > 0.7
        assert change(fields, numbers + 1, behaviours).float().mean() > 0.7
        if tower.section.uses_behaviours:
            differs = change(fields, numbers, [b._replace(history=b.history + 1) for b in behaviours])
            empty = behaviours[0].lengths == 0
            assert differs[~empty].float().mean() > 0.7
            assert not differs[empty].any()

    def test_there_need_be_no_numbers(self, model: TowerSection) -> None:
        inputs = INPUTS._replace(num_numbers=0)
        tower = build_tower(inputs, model)
        assert tower(*draw_batch(inputs, 3)).shape == (3, 1)
        assert all(parameter.numel() > 0 for parameter in tower.parameters())

    def test_there_need_be_no_fields(self, model: TowerSection) -> None:
        inputs = INPUTS._replace(dims=[])
        tower = build_tower(inputs, model)
        assert tower(*draw_batch(inputs, 3)).shape == (3, 1)

    def test_a_script_gives_the_same_logits_also_after_it_was_saved(self, model: TowerSection) -> None:
        tower = trained(model).eval()
        file = io.BytesIO()
        torch.jit.save(torch.jit.script(tower), file)
        file.seek(0)
        script = torch.jit.load(file)  # type: ignore[no-untyped-call]
        for num_rows in (5, 1):
            arguments = draw_batch(INPUTS, num_rows, seed=7)
            torch.testing.assert_close(script(*arguments), tower(*arguments), rtol=0, atol=1e-6)

    def test_a_program_of_torch_export_gives_the_same_logits_of_any_number_of_rows(self, model: TowerSection) -> None:
        tower = trained(model).eval()
        traced = _flat(*draw_batch(INPUTS, 3))
        with torch.no_grad():
            shapes = {name: {0: torch.export.Dim.DYNAMIC} for name in traced}
            program = torch.export.export(_Flat(tower), (traced,), dynamic_shapes=(shapes,), strict=False)
            for num_rows in (5, 1, 0):
                arguments = draw_batch(INPUTS, num_rows, seed=7)
                found = program.module()(_flat(*arguments))
                torch.testing.assert_close(found, tower(*arguments), rtol=0, atol=1e-6)

    def test_candidates_of_users_have_the_logits_of_plain_rows(self, model: TowerSection) -> None:
        tower = trained(model).eval()
        script = torch.jit.script(_Ranker(tower))
        user_columns: list[tuple[list[int], list[int]]] = [([], []), ([0], [1]), ([2, 0], [0, 1]), ([0, 1, 2], [])]
        numbers_of_candidates: list[list[int]] = [[5], [0, 7, 3], [1, 1, 0], [40, 1, 0], [0], []]
        for (fields, numbers), candidates in product(user_columns, numbers_of_candidates):
            ranking, rows = draw_ranking(INPUTS, candidates, user_fields=fields, user_numbers=numbers)
            with torch.no_grad():
                expected = tower(*rows)
                assert expected.shape == (sum(candidates), 1)
                torch.testing.assert_close(tower.rank(ranking), expected, rtol=1e-5, atol=1e-5)
                torch.testing.assert_close(script(ranking), expected, rtol=1e-5, atol=1e-5)

    def test_a_symbolic_trace_gives_the_same_logits(self, model: TowerSection) -> None:
        tower = trained(model).eval()
        graph = torch.fx.symbolic_trace(tower)
        for num_rows in (5, 1):
            arguments = draw_batch(INPUTS, num_rows, seed=7)
            assert torch.equal(graph(*arguments), tower(*arguments))

    def test_a_tower_that_was_saved_and_loaded_gives_the_same_logits(self, model: TowerSection) -> None:
        tower = trained(model).eval()
        file = io.BytesIO()
        torch.save(tower.state_dict(), file)
        file.seek(0)
        loaded = build_tower(INPUTS, model).eval()
        loaded.load_state_dict(torch.load(file, weights_only=True))
        arguments = draw_batch(INPUTS, 5, seed=7)
        assert torch.equal(loaded(*arguments), tower(*arguments))

    def test_the_same_seed_gives_the_same_tower_to_the_last_bit(self, model: TowerSection) -> None:
        first, second = trained(model, seed=3), trained(model, seed=3)
        assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())
        arguments = draw_batch(INPUTS, 5)
        assert torch.equal(first.eval()(*arguments), second.eval()(*arguments))

    def test_in_eval_mode_a_row_does_not_depend_on_its_batch(self, model: TowerSection) -> None:
        tower = trained(model).eval()
        arguments = draw_batch(INPUTS, 9)
        alone = torch.cat([tower(*row_of(arguments, i)) for i in range(9)])
        torch.testing.assert_close(tower(*arguments), alone, rtol=0, atol=1e-5)

    def test_in_eval_mode_nothing_is_learnt(self, model: TowerSection) -> None:
        tower = trained(model).eval()
        before = {name: tensor.clone() for name, tensor in tower.state_dict().items()}
        tower(*draw_batch(INPUTS, 9))
        assert all(torch.equal(before[name], tensor) for name, tensor in tower.state_dict().items())

    @pytest.mark.parametrize("lengths", [[0, 0, 0, 0], [0], [0, 1, 0], [1]])
    def test_empty_histories_give_finite_logits_gradients_and_averages(
        self, model: TowerSection, lengths: list[int]
    ) -> None:
        tower = trained(model)
        tower.zero_grad()
        tower(*draw_batch(INPUTS, len(lengths), lengths=lengths)).sum().backward()
        state = tower.state_dict().items()
        gradients = [
            (name, parameter.grad) for name, parameter in tower.named_parameters() if parameter.grad is not None
        ]
        assert [name for name, tensor in [*state, *gradients] if not tensor.isfinite().all()] == []

    @pytest.mark.parametrize("is_mixed", [False, True])
    def test_a_batch_of_no_rows_gives_every_parameter_and_input_a_gradient_of_zeros(
        self, model: TowerSection, is_mixed: bool
    ) -> None:
        """A rank may have no part of a batch, and the others wait for its gradients."""
        tower = trained(model)
        tower.zero_grad()
        state = {name: tensor.clone() for name, tensor in tower.state_dict().items()}
        fields, numbers, behaviours = draw_batch(INPUTS, 0)
        inputs = [fields.requires_grad_(), *(t.requires_grad_() for b in behaviours for t in (b.target, b.history))]
        with torch.autocast("cpu", torch.bfloat16, enabled=is_mixed):
            logits = tower(fields, numbers, behaviours)
        assert logits.shape == (0, 1)
        logits.float().sum().backward()
        for name, parameter in tower.named_parameters():
            assert parameter.grad is not None, name
            assert not parameter.grad.any(), name
        assert all(tensor.grad is not None for tensor in inputs[: None if tower.section.uses_behaviours else 1])
        assert all(torch.equal(tensor, state[name]) for name, tensor in tower.state_dict().items())

    def test_bfloat16_autocast_gives_nearly_the_same_logits_and_finite_gradients(self, model: TowerSection) -> None:
        tower = trained(model).eval()
        arguments = draw_batch(INPUTS, 16)
        expected = tower(*arguments).detach()
        with torch.autocast("cpu", torch.bfloat16):
            logits = tower(*arguments)
        torch.testing.assert_close(logits.float(), expected, rtol=0.05, atol=0.05 * float(expected.abs().max()))
        tower.train()
        with torch.autocast("cpu", torch.bfloat16):
            tower(*arguments).float().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in tower.parameters())

    def test_arguments_are_not_changed(self, model: TowerSection) -> None:
        tower = build_tower(INPUTS, model)
        arguments, copy = draw_batch(INPUTS, 5), draw_batch(INPUTS, 5)
        tower(*arguments).sum().backward()
        torch.testing.assert_close(arguments, copy, rtol=0, atol=0)


def trained(model: TowerSection, *, seed: int = 0) -> Tower:
    """Build a tower whose parameters and moving averages are no longer those it was born with."""
    torch.manual_seed(seed)
    tower = build_tower(INPUTS, model)
    optimizer = torch.optim.Adam(tower.parameters(), lr=0.05)
    for step in range(3):
        optimizer.zero_grad()
        tower(*draw_batch(INPUTS, 16, seed=step)).square().mean().backward()
        optimizer.step()
    return tower
