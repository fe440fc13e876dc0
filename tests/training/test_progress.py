import pytest

from recsys.training.progress import TrainProgress

NAN = float("nan")


def after_epochs(values: list[float], *, higher_is_better: bool) -> TrainProgress:
    progress = TrainProgress()
    for value in values:
        progress.count_epoch()
        progress.update_best(value, higher_is_better=higher_is_better)
    return progress


@pytest.mark.parametrize(
    ("values", "best_epoch", "epochs_since_best"),
    [
        ([0.6, 0.7, 0.65], 2, 1),
        ([0.6, 0.6, 0.6], 1, 2),
        ([NAN, 0.6], 2, 0),
        ([0.6, NAN, NAN], 1, 2),
        ([0.6, NAN, 0.7], 3, 0),
    ],
)
def test_the_best_epoch_is_the_first_of_the_highest(
    values: list[float], best_epoch: int, epochs_since_best: int
) -> None:
    progress = after_epochs(values, higher_is_better=True)
    assert progress.epoch == len(values)
    assert (progress.best_epoch, progress.epochs_since_best) == (best_epoch, epochs_since_best)


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_an_epoch_whose_metric_is_not_a_number_is_never_the_best(higher_is_better: bool) -> None:
    """It counts as one without improvement; the last one stands in as long as there is no number."""
    progress = after_epochs([NAN, NAN, NAN], higher_is_better=higher_is_better)
    assert not progress.is_best
    assert (progress.best, progress.best_epoch, progress.epochs_since_best) == (None, 3, 3)
    for value, is_best in [(0.5, True), (NAN, False)]:
        progress.count_epoch()
        progress.update_best(value, higher_is_better=higher_is_better)
        assert progress.is_best == is_best
    assert (progress.best, progress.best_epoch, progress.epochs_since_best) == (0.5, 4, 1)


def test_the_best_epoch_is_that_of_the_lowest_where_lower_is_better() -> None:
    progress = after_epochs([0.5, 0.4, 0.45], higher_is_better=False)
    assert (progress.best, progress.best_epoch, progress.epochs_since_best) == (0.4, 2, 1)


def test_batches_count_for_the_epoch_the_stage_and_the_run() -> None:
    progress = TrainProgress(step=7, num_stages=2)
    progress.count_batch(100, 0.5)
    progress.count_batch(60, 0.5)
    assert (progress.batch, progress.stage_step, progress.step, progress.rows_per_second) == (2, 2, 9, 160)
    progress.count_epoch()
    assert (progress.epoch, progress.batch, progress.stage_step) == (1, 0, 2)


def test_a_new_stage_forgets_the_best_epoch_of_the_one_before() -> None:
    progress = after_epochs([0.9, 0.5], higher_is_better=True)
    progress.num_stages = 2
    progress.start_next_stage()
    assert progress.in_last_stage
    assert (progress.stage_epoch, progress.best_epoch, progress.epochs_since_best) == (2, 0, 0)
    progress.count_epoch()
    progress.update_best(0.6, higher_is_better=True)
    assert progress.best_epoch == 3


def test_the_counters_of_a_checkpoint_are_taken_over() -> None:
    progress = TrainProgress()
    progress.load_state_dict(TrainProgress(epoch=3, step=9, best=0.5, epochs_since_best=2).state_dict())
    assert progress == TrainProgress(epoch=3, step=9, best=0.5, epochs_since_best=2)


def test_a_checkpoint_of_the_version_before_is_read() -> None:
    progress = TrainProgress()
    progress.load_state_dict({"epoch": 3, "waited": 2})
    assert progress == TrainProgress(epoch=3, epochs_since_best=2)
