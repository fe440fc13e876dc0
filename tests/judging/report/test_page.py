import re
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.errors import DataError
from recsys.evaluation.predictions import Predictions
from recsys.judging.report import write_report
from recsys.judging.report.page import page
from tests.judging.report.judgements import HOSTILE, compared, differences, importance, judged, predictions, slices


class Reader(HTMLParser):
    """What a browser sees: elements with their attributes and texts; elements must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.by_id: dict[str, str] = {}
        self._ids: list[str | None] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
            self._ids.append(dict(attrs).get("id"))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._ids.pop()

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data.strip())
            if self._ids[-1]:
                self.by_id[self._ids[-1]] = data


TWO = [judged("runs/a"), judged("runs/b", 1.5)]


@pytest.fixture(scope="module")
def one() -> str:
    return page([judged()])


@pytest.fixture(scope="module")
def two() -> str:
    return page(TWO, [compared()])


def test_the_verdict_comes_first(two: str) -> None:
    reader = Reader(two)
    assert reader.texts["h1"] == ["runs/a against runs/b"]
    assert reader.texts["p"][1] == "runs/a is better than runs/b"
    assert two.index('class="verdict better"') < two.index("<nav") < two.index("<h2")
    assert "+0.01000, 95 % interval +0.00608 to +0.01392" in two
    assert "Each model was trained once" in two


@pytest.mark.parametrize(
    ("value", "words"), [(-0.01, "runs/a is worse than runs/b"), (1e-5, "runs/a and runs/b cannot be told apart")]
)
def test_a_verdict_may_be_worse_or_undecided(value: float, words: str) -> None:
    text = page(TWO, [compared(value)])
    assert words in text
    assert ("would tell it" in text) == (value > 0)


def test_one_run_begins_with_what_its_figures_mean(one: str) -> None:
    reader = Reader(one)
    assert reader.texts["dt"] == ["AUC", "Predicted / actual", "Top 10 % of rows", "Positives"]
    assert "a positive is scored above a negative in" in one


def test_all_sections_are_there_and_the_links_lead_to_them(two: str) -> None:
    reader = Reader(two)
    names = ["figures", "slices", "curves", "importance", "epochs", "settings"]
    assert [of["id"] for tag, of in reader.elements if tag == "section"] == names
    assert [of["href"] for tag, of in reader.elements if tag == "a"] == [f"#{name}" for name in names]


def test_every_picture_says_in_words_what_it_shows(two: str) -> None:
    reader = Reader(two)
    pictures = [of for tag, of in reader.elements if tag == "svg"]
    drawn = [of for of in pictures if of.get("role") == "img"]
    assert len(drawn) == 9  # two histograms, two pictures of epochs
    assert all(of.get("aria-hidden") == "true" for of in pictures if of not in drawn)  # small ones beside their numbers
    for of in drawn:
        title, description = (of["aria-labelledby"] or "").split()
        assert reader.by_id[title]
        assert "runs/" in reader.by_id[description]


def test_identifiers_are_unique_and_everything_that_is_referred_to_is_there(two: str) -> None:
    reader = Reader(two)
    counts = Counter(of["id"] for _, of in reader.elements if "id" in of)
    assert set(counts.values()) == {1}
    referred = {one for of in re.findall(r"""(?:href="|url\()#([^")]+)""", two) for one in [of]}
    assert referred <= set(counts)


def test_the_page_needs_no_network_and_no_script(two: str) -> None:
    assert not re.search(r"https?:|//|@import|<script|<img|<iframe|\son\w+=", two)
    assert {of.get("href") for tag, of in Reader(two).elements if tag == "link"} == {"data:,"}


def test_colours_come_from_the_style_so_that_the_page_can_be_dark(two: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", two, re.DOTALL)
    assert not [one for one in drawings if re.search(r"#0102|stroke: (?!none|var)|fill: (?!none|var)", one)]


def hostile(place: str) -> str:
    return f"{place} {HOSTILE}"


def test_what_users_name_is_never_markup() -> None:
    run = judged(
        hostile("run"),
        predictions={hostile("task"): predictions(), "b": predictions()},
        metrics={f"{hostile('task')}.auc": 0.7, hostile("metric"): 0.5, "calibration": 1.0},
        epochs=[{"epoch": 1.0, f"valid.{hostile('task of epochs')}.auc": 0.7}],
        slices=slices(3, value=hostile("slice")).with_columns(column=pl.lit(hostile("column"))),
        importance=importance(hostile("feature")),
        settings={hostile("section"): {hostile("key"): hostile("setting")}},
        about=hostile("rows"),
    )
    places = ["run", "task", "metric", "task of epochs", "slice", "column", "feature", "section", "key", "setting"]
    for text, more in ((page([run]), "rows"), (page([run, judged()], [compared(first=hostile("verdict"))]), "verdict")):
        reader = Reader(text)
        assert not [tag for tag, _ in reader.elements if tag == "script"]
        shown = [part for parts in reader.texts.values() for part in parts]
        assert [place for place in (*places, more) if not any(hostile(place) in part for part in shown)] == []


def only(label: list[float], score: list[float]) -> Predictions:
    return Predictions(label=np.array(label), score=np.array(score), weight=None, group=None, source="made up")


NAN = float("nan")
BARE: dict[str, Any] = {"epochs": (), "slices": None, "importance": None, "settings": {}}
ODD: dict[str, dict[str, Any]] = {
    "one class": {"predictions": {"": only([0, 0], [0.1, 0.2])}, "metrics": {"auc": NAN, "calibration": NAN}},
    "no rows": {"predictions": {"": only([], [])}, "metrics": {"auc": NAN}},
    "equal scores": {"predictions": {"": only([0, 1, 0], [0.5, 0.5, 0.5])}},
    "scores of 0 and 1": {"predictions": {"": only([0, 1, 0, 1], [0, 1, 1, 0])}},
    "logits": {"predictions": {"": only([0, 1, 0, 1], [-3, 12, 1, 0])}, "metrics": {"auc": 0.75}},
    "weights": {"predictions": {"": predictions(weighted=True)}},
    "zero weights": {"predictions": {"": replace(predictions(), weight=np.zeros(2000))}},
    "soft labels": {"predictions": {"": only([0.2, 0.7], [0.1, 0.9])}},
    "nothing but predictions": {},
    "empty frames": {"slices": slices(1).head(0), "importance": importance().head(0)},
    "an epoch without figures": {"epochs": [{"epoch": 1.0, "train.loss": NAN, "valid.auc": NAN}]},
    "no figures": {"metrics": {}},
}


@pytest.mark.parametrize("what", ODD)
def test_odd_data_make_a_page(what: str) -> None:
    Reader(page([judged(**(BARE | ODD[what]))]))


def test_odd_data_stand_beside_others() -> None:
    Reader(page([judged(what, **ODD[what]) for what in ODD], [compared(), compared(NAN)]))


def test_many_slices_are_folded_and_the_page_stays_small() -> None:
    text = page([judged(slices=slices(5000)), judged("runs/b", slices=slices(5000))])
    assert "another 4,685 are in the file beside this page" in text
    assert len(text) < 1_000_000


def test_slices_of_several_runs_stand_in_one_line() -> None:
    fewer = slices(20).filter(pl.col("slice") != "value 0")
    text = page([judged(slices=fewer), judged("runs/b", slices=slices(20))])
    rows = re.findall(r"<tr>.*?</tr>", text)
    (line,) = (row for row in rows if ">value 3<" in row)
    assert line.count("0.6300<") == 2
    (line,) = (row for row in rows if ">value 0<" in row)
    assert (line.count("not defined"), line.count("0.6000<")) == (2, 1)


def test_the_difference_on_each_slice_comes_before_the_slices_of_each_run() -> None:
    text = page(TWO, [compared()._replace(slices=differences())])
    assert text.index("runs/a minus runs/b: Difference by slice") < text.index("Slices, worst first by runs/a")
    (line,) = (row for row in re.findall(r"<tr>.*?</tr>", text) if ">de<" in row)
    assert "+0.02000" in line
    assert ">better<" in line


def test_means_over_seeds_come_before_the_figures_of_each_run() -> None:
    text = page(TWO, means={"a": {"auc": 0.75, "auc_low": 0.7, "auc_high": 0.8}, "b": {"auc": 0.5}})
    section = text[text.index('id="figures"') :]
    assert section.index("0.75000") < section.index("0.70000 to 0.80000") < section.index("Each of the 2 runs")


def test_of_several_pairs_the_first_is_the_verdict_and_the_others_are_folded() -> None:
    text = page(TWO, [compared(), compared(-0.01, second="runs/c")])
    assert text.index("runs/a is better than runs/b") < text.index("Other pairs")
    assert text.index("Other pairs") < text.index("runs/a is worse than runs/c")


def test_slices_of_several_tasks_name_the_task() -> None:
    frame = pl.concat([slices(3).select(pl.lit(task).alias("task"), pl.all()) for task in ("buys", "clicks")])
    text = page([judged(slices=frame), judged("runs/b", slices=frame)])
    assert text.count(">buys<") == text.count(">clicks<") == 3


def test_runs_that_differ_in_their_seed_share_a_colour_and_a_histogram() -> None:
    runs = [judged(f"runs/{model}-seed-{seed}", seed, model=model) for model in "ab" for seed in (1.0, 1.1)]
    text = page(runs, [compared(first="a", second="b")])
    assert Reader(text).texts["h1"] == ["a against b"]
    assert text.count("Scores by class") == 4  # headings and titles
    assert "Each model was trained once" not in text
    assert "var(--c2)" not in text.partition("</style>")[2]


def test_more_models_than_colours_are_told_apart_by_their_dashes() -> None:
    text = page([judged(f"runs/{number}", **BARE) for number in range(8)])
    reader = Reader(text)
    legend = {of["style"] for tag, of in reader.elements if tag == "i"}
    assert len(legend) == 8
    assert max(Counter(of["id"] for _, of in reader.elements if "id" in of).values()) == 1


def test_what_differs_between_the_runs_comes_before_all_settings(two: str) -> None:
    section = two[two.index('id="settings"') :]
    assert section.index("What differs") < section.index("<details>")
    assert "model.tower" not in section[: section.index("<details>")]


def test_equal_runs_make_equal_pages(two: str) -> None:
    assert page(TWO, [compared()]) == two


def test_settings_of_matplotlib_do_not_change_the_page(one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "axes.grid", False)
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "path")
    assert page([judged()]) == one


def test_without_matplotlib_the_message_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DataError, match=re.escape("pip install 'recsys[plots]'")):
        write_report(tmp_path, TWO)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_has_the_page_the_figures_and_the_slices(tmp_path: Path) -> None:
    assert write_report(tmp_path / "out", TWO) == tmp_path / "out" / "report.html"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["metrics.json", "report.html", "slices.csv"]
    found = pl.read_csv(tmp_path / "out" / "slices.csv")
    assert found["run"].unique(maintain_order=True).to_list() == ["runs/a", "runs/b"]
    assert len(found) == 40
    bare = [judged("runs/a", slices=None)]
    write_report(tmp_path / "out", bare)
    assert not (tmp_path / "out" / "slices.csv").exists()
    write_report(tmp_path / "out", bare, compared=[compared()._replace(slices=differences())])
    assert pl.read_csv(tmp_path / "out" / "slices.csv")["run"].to_list() == ["runs/a minus runs/b"]
