from dataclasses import replace
from math import nan
from typing import Any

import pytest

from recsys.evaluation.seeds import Estimate
from recsys.evaluation.verdict import Verdict, verdict
from recsys.search.candidate import Candidate, Measured
from recsys.search.costs import Cost
from recsys.search.feature_lines import FeatureLine
from recsys.search.report import ReportFacts, TrainedModel, report
from recsys.search.scorer import DropCost


def measured(name: str, size: int, auc: float, source: Any = "supernet") -> Measured:
    return Measured(candidate=Candidate(name=name), serving_bytes=size, training_bytes=size, auc=auc, source=source)


def judged(value: float, error: float) -> Verdict:
    return verdict("auc", Estimate(value, error**2), rows=1000)


def model(name: str, size: int, auc: float, found: Verdict | None = None) -> TrainedModel:
    verdicts = {} if found is None else {"test": found}
    one = measured(name, size, auc, "trained")
    return TrainedModel(measured=one, yaml=f"front/{name}.yaml", aucs={"valid": auc, "test": auc}, verdicts=verdicts)


def line(name: str, **changes: Any) -> FeatureLine:
    facts = {
        "num_ids": 1000,
        "uses": 50_000,
        "before": "32",
        "after": "32",
        "bytes_before": 128_000,
        "bytes_after": 128_000,
    }
    return FeatureLine(name=name, **facts | changes)


BASELINE = model("baseline", 400_000, 0.75)
BEST = model("small", 100_000, 0.749, judged(-0.001, 0.001))
LINES = [
    line("useless", after="dropped", bytes_after=0, drop=DropCost(0.0, 0.0)),
    line("noisy", rows=150, after="8", bytes_after=4_800, drop=DropCost(-0.02, 0.01)),
    line("rich", after="16 (100 ids), 4 (900 ids)", bytes_after=20_800, drop=DropCost(-0.1, 0.05)),
    line("idle|bar", drop=DropCost(0.0002, -0.0001)),
]
FACTS = ReportFacts(
    title="shop",
    method="dnis: gates",
    folder="searches/shop",
    command="recsys search shop.yaml --method dnis",
    machine="a CPU",
    data="train 10 rows",
    baseline=BASELINE,
    best=BEST,
    trained=[BEST],
    front=[measured("tiny", 50_000, 0.72), measured("small", 100_000, 0.745)],
    num_candidates=7,
    budget=110_000,
    lines=LINES,
    keys={"train.dense_optimizer.lr": 0.01},
    costs={"supernet": Cost(100.0, 150.0), "candidates": Cost(20.0, 30.0)},
    baseline_cost=Cost(60.0, 90.0),
)


def test_the_first_lines_say_what_is_saved_what_it_costs_and_what_can_be_dropped() -> None:
    lines = report(FACTS).splitlines()
    assert lines[2] == (
        "**Train `best.yaml`: the tables take 100.0 kB in place of 400.0 kB (25.0%).** The test AUC of that model is "
        "0.7490, that of yours 0.7500; it and yours cannot be told apart: -0.0010 (95 % interval -0.0030 to +0.0010)."
    )
    assert lines[4:9] == [
        "- dropped: `useless` (saves 128.0 kB)",
        "- fewer ids: `noisy` (saves 123.2 kB)",
        "- other widths or precision: `rich` (saves 107.2 kB)",
        "- kept, but dropping one of them costs no validation AUC: `idle|bar` (128.0 kB)",
        "- `train.dense_optimizer.lr`: 0.01",
    ]
    assert "    recsys train searches/shop/best.yaml" in lines


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (judged(-0.01, 0.004), "; it is worse than yours: -0.0100 (95 % interval -0.0178 to -0.0022)."),
        (judged(0.01, 0.004), "; it is better than yours: +0.0100 (95 % interval +0.0022 to +0.0178)."),
        (judged(0.01, nan), "; it and yours cannot be told apart: +0.0100 (no interval)."),
        (None, "that of yours 0.7500."),
    ],
)
def test_the_verdict_is_that_of_the_paired_interval(found: Verdict | None, words: str) -> None:
    best = model("small", 100_000, 0.749, found)
    assert report(replace(FACTS, best=best, trained=[best])).splitlines()[2].endswith(words)


def test_without_test_rows_the_verdict_is_that_of_the_validation_rows() -> None:
    valid = {"valid": judged(0.0, 0.05)}
    best = replace(BEST, aucs={"valid": 0.7}, verdicts=valid)
    assert "The validation AUC of that model is 0.7000" in report(replace(FACTS, best=best, trained=[best]))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([400], "None has a higher validation AUC."),
        (
            [100, 400],
            "Those with smaller tables are significantly worse on the validation rows. Ask for a budget to see what "
            "the best tables of that size are.",
        ),
        ([400, 500], "Those with larger tables are not significantly better."),
        (
            [100, 500],
            "Those with smaller tables are significantly worse on the validation rows. Those with larger tables are "
            "not significantly better. Ask for a budget to see what the best tables of that size are.",
        ),
    ],
)
def test_a_search_that_ends_in_the_users_file_says_so_and_compares_it_with_others_only(
    sizes: list[int], words: str
) -> None:
    front = [measured(f"of {size}", 1000 * size, 0.75, "trained") for size in sizes]
    text = report(replace(FACTS, best=BASELINE, trained=[], front=front, budget=None))
    first = text.splitlines()[2]
    assert first == f"**Keep your file as it is** (tables of 400.0 kB). 7 candidates were tried. {words}"
    assert "recsys train searches/shop/best.yaml" not in text


def test_commands_find_the_data_and_any_folder() -> None:
    text = report(replace(FACTS, folder="my searches/shop", data_options=("--data-dir", "log")))
    assert "    recsys train 'my searches/shop/best.yaml' --data-dir log\n" in text
    assert "`recsys train 'my searches/shop/front/NAME.yaml' --data-dir log`" in text


def test_each_feature_has_a_row_with_what_dropping_it_costs() -> None:
    text = report(FACTS)
    for row in (
        "| `useless` | 1,000 | 50,000 | 32 | dropped |  | 128.0 kB | 0 B | +0.0000 AUC, +0.0000 logloss |",
        "| `noisy` | 1,000 | 50,000 | 32 | 8 | 150 | 128.0 kB | 4.8 kB | -0.0200 AUC, +0.0100 logloss |",
        r"| `idle\|bar` | 1,000 | 50,000 | 32 | as it is |  | 128.0 kB | 128.0 kB | +0.0002 AUC, -0.0001 logloss |",
    ):
        assert row in text


def test_what_one_width_for_all_tables_reaches_is_said_beside_the_best() -> None:
    uniform = model("uniform-8", 98_000, 0.7405)
    text = report(replace(FACTS, trained=[BEST, uniform]))
    assert "One width for all tables (`uniform-8`, 98.0 kB) reaches 0.7405." in text
    assert "| uniform-8 | 98.0 kB | 24.5% |  | 0.7405 |" in text
    own = report(replace(FACTS, best=uniform, trained=[BEST, uniform]))
    assert "one width for all tables: nothing that was found within the budget is better" in own


def test_the_points_of_the_front_are_listed_with_their_files() -> None:
    text = report(FACTS)
    point = "| **small** | 100.0 kB | 25.0% | 0.7450 | 0.7490 | 0.7490 |"
    assert f"{point} -0.0010 (95 % interval -0.0030 to +0.0010) |" in text
    assert "| tiny | 50.0 kB | 12.5% | 0.7200 |  |  |  | front/tiny.yaml |" in text


def test_the_cost_is_counted_in_trainings() -> None:
    assert "| **the search** | 2 min | 3 min | 2.00 | 2.00 |" in report(FACTS)


def test_a_search_that_leaves_the_tables_alone_does_not_speak_of_saving() -> None:
    best = model("trial", 400_000, 0.76, judged(0.01, 0.004))
    text = report(replace(FACTS, best=best, trained=[best], lines=[], front=[best.measured]))
    assert text.splitlines()[2].startswith("**Train `best.yaml`: the tables take 400.0 kB as before.** The test AUC")
    assert "supernet under masks" not in text
