"""What every tower promises, whichever it is."""

import io

import pytest
import torch

from recsys.config.towers import TOWERS, Model
from recsys.towers import Tower, build_tower
from tests.towers.examples import INPUTS, MODELS, batch, row

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.*` is (deprecated|not supported):DeprecationWarning")
every_tower = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())


def trained(model: Model, *, seed: int = 0) -> Tower:
    """Build a tower whose parameters and moving averages are no longer those it was born with."""
    torch.manual_seed(seed)
    tower = build_tower(INPUTS, model)
    optimiser = torch.optim.Adam(tower.parameters(), lr=0.05)
    for step in range(3):
        optimiser.zero_grad()
        tower(*batch(INPUTS, 16, seed=step)).square().mean().backward()
        optimiser.step()
    return tower


def test_every_tower_is_under_test() -> None:
    assert {model.tower for model in MODELS.values()} == set(TOWERS)


@every_tower
@pytest.mark.parametrize("num_tasks", [1, 2])
@pytest.mark.parametrize("num_rows", [1, 5])
def test_there_is_one_finite_logit_for_each_row_and_task(model: Model, num_tasks: int, num_rows: int) -> None:
    inputs = INPUTS._replace(num_tasks=num_tasks)
    tower = build_tower(inputs, model)
    for mode in (True, False):
        logits = tower.train(mode)(*batch(inputs, num_rows))
        assert logits.shape == (num_rows, num_tasks)
        assert logits.isfinite().all()


@every_tower
def test_each_task_has_a_logit_of_its_own(model: Model) -> None:
    inputs = INPUTS._replace(num_tasks=2)
    torch.manual_seed(0)
    logits = build_tower(inputs, model)(*batch(inputs, 5))
    assert not torch.allclose(logits[:, 0], logits[:, 1])


@every_tower
def test_the_gradient_reaches_every_parameter_and_every_input(model: Model) -> None:
    tower = trained(model)
    fields, numbers, behaviours = batch(INPUTS, 16)
    inputs = [fields.requires_grad_(), numbers.requires_grad_()]
    if tower.section.uses_behaviours:
        inputs += [tensor.requires_grad_() for b in behaviours for tensor in (b.target, b.history)]
    tower.zero_grad()
    tower(fields, numbers, behaviours).square().sum().backward()
    parameters = dict(tower.named_parameters())
    if model.tower == "din" and model.attention_softmax:
        for i in range(2):  # a softmax does not see what is added to all scores
            del parameters[f"interests.{i}.rest.1.layers.0.bias"]
    for name, tensor in [*parameters.items(), *((f"input {i}", tensor) for i, tensor in enumerate(inputs))]:
        assert tensor.grad is not None, name
        assert tensor.grad.isfinite().all(), name
        assert tensor.grad.abs().sum() > 0, name


@every_tower
def test_every_row_depends_on_all_that_belongs_to_it(model: Model) -> None:
    tower = trained(model).eval()
    fields, numbers, behaviours = batch(INPUTS, 100)

    def change(*arguments: object) -> torch.Tensor:
        return (tower(*arguments) - tower(fields, numbers, behaviours)).squeeze(1).abs() > 1e-6

    # Not every row: a small network with ReLU is flat in places.
    assert change(fields + 1, numbers, behaviours).float().mean() > 0.7
    assert change(fields, numbers + 1, behaviours).float().mean() > 0.7
    if tower.section.uses_behaviours:
        differs = change(fields, numbers, [b._replace(history=b.history + 1) for b in behaviours])
        empty = behaviours[0].lengths == 0
        assert differs[~empty].float().mean() > 0.7
        assert not differs[empty].any()


@every_tower
def test_there_need_be_no_numbers(model: Model) -> None:
    inputs = INPUTS._replace(num_numbers=0)
    tower = build_tower(inputs, model)
    assert tower(*batch(inputs, 3)).shape == (3, 1)
    assert all(parameter.numel() > 0 for parameter in tower.parameters())


@every_tower
def test_there_need_be_no_fields(model: Model) -> None:
    inputs = INPUTS._replace(dims=[])
    tower = build_tower(inputs, model)
    assert tower(*batch(inputs, 3)).shape == (3, 1)


@every_tower
def test_a_script_gives_the_same_logits_also_after_it_was_saved(model: Model) -> None:
    tower = trained(model).eval()
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(tower), file)
    file.seek(0)
    script = torch.jit.load(file)
    for num_rows in (5, 1):
        arguments = batch(INPUTS, num_rows, seed=7)
        torch.testing.assert_close(script(*arguments), tower(*arguments), rtol=0, atol=1e-6)


@every_tower
def test_a_symbolic_trace_gives_the_same_logits(model: Model) -> None:
    tower = trained(model).eval()
    graph = torch.fx.symbolic_trace(tower)
    for num_rows in (5, 1):
        arguments = batch(INPUTS, num_rows, seed=7)
        assert torch.equal(graph(*arguments), tower(*arguments))


@every_tower
def test_a_tower_that_was_saved_and_loaded_gives_the_same_logits(model: Model) -> None:
    tower = trained(model).eval()
    file = io.BytesIO()
    torch.save(tower.state_dict(), file)
    file.seek(0)
    loaded = build_tower(INPUTS, model).eval()
    loaded.load_state_dict(torch.load(file, weights_only=True))
    arguments = batch(INPUTS, 5, seed=7)
    assert torch.equal(loaded(*arguments), tower(*arguments))


@every_tower
def test_the_same_seed_gives_the_same_tower_to_the_last_bit(model: Model) -> None:
    first, second = trained(model, seed=3), trained(model, seed=3)
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())
    arguments = batch(INPUTS, 5)
    assert torch.equal(first.eval()(*arguments), second.eval()(*arguments))


@every_tower
def test_in_eval_mode_a_row_does_not_depend_on_its_batch(model: Model) -> None:
    tower = trained(model).eval()
    arguments = batch(INPUTS, 9)
    alone = torch.cat([tower(*row(arguments, i)) for i in range(9)])
    torch.testing.assert_close(tower(*arguments), alone, rtol=0, atol=1e-5)


@every_tower
def test_in_eval_mode_nothing_is_learnt(model: Model) -> None:
    tower = trained(model).eval()
    before = {name: tensor.clone() for name, tensor in tower.state_dict().items()}
    tower(*batch(INPUTS, 9))
    assert all(torch.equal(before[name], tensor) for name, tensor in tower.state_dict().items())


@every_tower
@pytest.mark.parametrize("lengths", [[0, 0, 0, 0], [0], [0, 1, 0], [1]])
def test_empty_histories_give_finite_logits_gradients_and_averages(model: Model, lengths: list[int]) -> None:
    tower = trained(model)
    tower.zero_grad()
    tower(*batch(INPUTS, len(lengths), lengths=lengths)).sum().backward()
    state = tower.state_dict().items()
    gradients = [(name, parameter.grad) for name, parameter in tower.named_parameters() if parameter.grad is not None]
    assert [name for name, tensor in [*state, *gradients] if not tensor.isfinite().all()] == []


@every_tower
@pytest.mark.parametrize("is_mixed", [False, True])
def test_a_batch_of_no_rows_gives_every_parameter_and_input_a_gradient_of_zeros(model: Model, is_mixed: bool) -> None:
    """A rank may have no part of a batch, and the others wait for its gradients."""
    tower = trained(model)
    tower.zero_grad()
    state = {name: tensor.clone() for name, tensor in tower.state_dict().items()}
    fields, numbers, behaviours = batch(INPUTS, 0)
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


@every_tower
def test_bfloat16_autocast_gives_nearly_the_same_logits_and_finite_gradients(model: Model) -> None:
    tower = trained(model).eval()
    arguments = batch(INPUTS, 16)
    expected = tower(*arguments).detach()
    with torch.autocast("cpu", torch.bfloat16):
        logits = tower(*arguments)
    torch.testing.assert_close(logits.float(), expected, rtol=0.05, atol=0.05 * float(expected.abs().max()))
    tower.train()
    with torch.autocast("cpu", torch.bfloat16):
        tower(*arguments).float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in tower.parameters())


@every_tower
def test_arguments_are_not_changed(model: Model) -> None:
    tower = build_tower(INPUTS, model)
    arguments, copy = batch(INPUTS, 5), batch(INPUTS, 5)
    tower(*arguments).sum().backward()
    torch.testing.assert_close(arguments, copy, rtol=0, atol=0)
