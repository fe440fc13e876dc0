"""Raw rows and files are scored as the model that was exported."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from torch import Tensor, nn

from recsys.checksums import sha256_of
from recsys.config import DataSection
from recsys.errors import DataError
from recsys.export.torchscript import save, script
from recsys.features.coverage import CoverageCounter, fields_with_vocabulary
from recsys.features.transform import canonicalize, encode
from recsys.serving import Scorer, scorer
from recsys.sources.location import RowLocation
from tests.export.models import Made, make, slow_scores
from tests.export.rows import clicks, yaml
from tests.serving.bundles import ROWS, export

pytestmark = pytest.mark.slow

CSV_COLUMNS = ["clicked", "user", "item", "shop", "genres", "price", "years", "time"]
CSV = """
label: clicked
features:
  user: {type: id}
  item: {type: id}
  shop: {type: id, vocabulary: open}
  genres: {type: ids, separator: "|"}
  price: {type: number, normalize: standard}
  age: {type: bucket, column: years, quantiles: 4}
  time: {type: datetime}
tables: {hashed: {features: [shop], scheme: hash, rows: 11}}
model: {tower: mlp, dim: 4, mlp: [4]}
"""


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "CHUNK_ROWS", 16)


@pytest.mark.usefixtures("small_chunks")
def test_frames_are_scored_in_the_order_of_their_rows(made: Made, bundle: Path) -> None:
    scores = Scorer(bundle).score(ROWS.drop("clicked"))
    np.testing.assert_allclose(scores, slow_scores(made, ROWS), rtol=0, atol=1e-6)


@pytest.mark.usefixtures("small_chunks")
def test_a_bad_value_is_located_by_its_row_in_the_file(bundle: Path) -> None:
    row = pl.int_range(pl.len())
    frame = ROWS.with_columns(user=pl.when(row == 40).then(pl.lit("ann")).otherwise(pl.lit("1")))
    with pytest.raises(DataError, match=r"new\.csv: column user: .*'ann' \(row 141\)"):
        Scorer(bundle).score(frame, RowLocation("new.csv", first_row=100))


UNKNOWN = ROWS.with_columns(user=pl.lit(10**9), price=None)


def test_unknown_and_missing_values_are_counted_while_rows_are_scored(made: Made, bundle: Path) -> None:
    """As they are when files are prepared, chunk by chunk."""
    counter = CoverageCounter(made.resolved, fields_with_vocabulary(made.resolved, made.state), made.state.key_kinds)
    canonical = canonicalize(UNKNOWN, made.resolved, made.state)
    chunk = counter.start(UNKNOWN, canonical)
    encode(canonical, made.resolved, made.state, chunk)
    counter.add(chunk)
    expected = counter.finish()
    assert expected["user"].unknown == expected["price"].missing == 70
    assert Scorer(bundle).coverage(UNKNOWN) == expected


@pytest.mark.usefixtures("small_chunks")
def test_files_of_unknown_values_draw_a_warning(bundle: Path, tmp_path: Path) -> None:
    path, said = tmp_path / "new.parquet", list[str]()
    UNKNOWN.write_parquet(path)
    Scorer(bundle).score_files([path], tmp_path / "out.parquet", log=said.append)
    assert [line for line in said if line.startswith(f"warning: {path}: 100 % of the values of user are unknown")]
    assert f"warning: {path}: price has no value in any of 70 rows" in said


def test_a_bundle_of_a_former_release_scores_alike_and_counts_nothing_unknown(
    made: Made, bundle: Path, tmp_path: Path
) -> None:
    former = tmp_path / "former"
    shutil.copytree(bundle, former)
    (former / "checksums.json").unlink()
    save(script(_Former(made.export())), former / "model.pt")
    signature = json.loads((former / "signature.json").read_text())
    signature["sha256"]["model.pt"] = sha256_of(former / "model.pt")
    (former / "signature.json").write_text(json.dumps(signature))
    assert np.array_equal(Scorer(former).score(UNKNOWN), Scorer(bundle).score(UNKNOWN))
    found = Scorer(former).coverage(UNKNOWN)
    assert (found["user"].values, found["user"].unknown, found["price"].missing) == (0, 0, 70)


class _Former(nn.Module):
    """A graph without the methods that count, as it was exported before 0.2."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        scores: Tensor = self.graph(inputs)
        return scores


def test_no_rows_have_no_scores(bundle: Path) -> None:
    assert Scorer(bundle).score(ROWS.clear()).shape == (0, 1)


@pytest.mark.usefixtures("small_chunks")
def test_files_are_scored_one_after_another(made: Made, bundle: Path, tmp_path: Path) -> None:
    ROWS[:30].write_parquet(tmp_path / "a.parquet")
    ROWS[30:].write_parquet(tmp_path / "b.parquet")
    told: list[tuple[str, int, int | None]] = []
    out = tmp_path / "new" / "scores.parquet"
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    assert Scorer(bundle).score_files(paths, out, keep=["clicked", "item"], on_progress=lambda *a: told.append(a)) == 70
    scores = pl.read_parquet(out)
    assert scores.columns == ["clicked", "item", "score"]
    assert scores["item"].to_list() == ROWS["item"].to_list()
    np.testing.assert_allclose(scores["score"], slow_scores(made, ROWS)[:, 0], rtol=0, atol=1e-6)
    assert told == [("scoring", 30, 70), ("scoring", 70, 70)]
    assert [path.name for path in out.parent.iterdir()] == ["scores.parquet"]


def test_kept_columns_have_a_type_that_holds_the_values_of_all_files(bundle: Path, tmp_path: Path) -> None:
    ROWS.with_columns(note=pl.lit(None), count=pl.lit(1)).write_parquet(tmp_path / "a.parquet")
    ROWS.with_columns(note=pl.lit("x"), count=pl.lit(2.5)).write_parquet(tmp_path / "b.parquet")
    paths, out = [tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "scores.parquet"
    Scorer(bundle).score_files(paths, out, keep=["note", "count"])
    assert pl.read_parquet(out).select(pl.col("note", "count").last()).row(0) == ("x", 2.5)
    ROWS.with_columns(note=pl.lit(1), count=pl.lit([1])).write_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match="keep: no type of column count holds the values of all files: Int32, List"):
        Scorer(bundle).score_files([tmp_path / "a.parquet", tmp_path / "c.parquet"], out, keep=["count"])


def test_text_files_score_as_the_typed_ones_training_read(tmp_path: Path) -> None:
    train = clicks(100).select(CSV_COLUMNS)
    fresh = ROWS.select(CSV_COLUMNS)
    made = make(CSV, train, tmp_path)
    bundle = export(made, tmp_path / "bundle", fresh)
    fresh.write_csv(tmp_path / "fresh.csv")
    fresh.write_csv(tmp_path / "fresh.txt", separator=";")
    expected = slow_scores(made, fresh)[:, 0]
    out = tmp_path / "scores.parquet"
    Scorer(bundle).score_files([tmp_path / "fresh.csv"], out)
    np.testing.assert_allclose(pl.read_parquet(out)["score"], expected, rtol=0, atol=1e-6)
    Scorer(bundle).score_files([tmp_path / "fresh.txt"], out, data=DataSection(format="csv", separator=";"))
    np.testing.assert_allclose(pl.read_parquet(out)["score"], expected, rtol=0, atol=1e-6)


SAME_VALUES: dict[str, dict[str, pl.DataType]] = {
    "floats": {"user": pl.Float64(), "shop": pl.Float64(), "users": pl.List(pl.Float64())},
    "decimals": {"user": pl.Decimal(20, 2), "users": pl.List(pl.Decimal(20, 0)), "time": pl.Decimal(20, 0)},
    "texts": {name: pl.String() for name in ("user", "shop", "price", "years", "time")},
    "dictionaries": {name: pl.Categorical() for name in ("item", "genres")} | {"items": pl.List(pl.Categorical())},
    "bytes": {name: pl.Binary() for name in ("item", "genres")} | {"items": pl.List(pl.Binary())},
    "small integers": {"years": pl.Int8(), "user": pl.UInt8()},
}


@pytest.mark.parametrize("form", SAME_VALUES)
def test_equal_values_score_alike_however_they_are_stored(bundle: Path, form: str) -> None:
    stored = ROWS.cast(dict(SAME_VALUES[form]))
    np.testing.assert_array_equal(Scorer(bundle).score(stored), Scorer(bundle).score(ROWS))


def test_a_column_without_any_value_scores_as_nulls(bundle: Path) -> None:
    nothing = ROWS.with_columns(
        user=pl.lit(None), items=pl.lit(None), users=pl.lit([None]), shops=pl.lit(None), marks=pl.lit(None)
    )
    nulls = nothing.cast({name: ROWS.schema[name] for name in ("user", "items", "users", "shops", "marks")})
    np.testing.assert_array_equal(Scorer(bundle).score(nothing), Scorer(bundle).score(nulls))


def test_lists_that_are_written_as_text_score_as_those_that_a_separator_splits(tmp_path: Path) -> None:
    train, fresh = (
        rows.select(CSV_COLUMNS).with_columns(pl.col("genres").str.split("|"))
        for rows in (clicks(100).filter(pl.col("genres") != ""), ROWS.filter(pl.col("genres") != ""))
    )
    made = make(CSV.replace('separator: "|"', 'separator: ",", padding: d'), train, tmp_path)
    scorer = Scorer(export(made, tmp_path / "bundle", fresh))
    lists = fresh["genres"].to_list()
    spelled = map(str, lists), (json.dumps([*row, "d"]) for row in lists), (",".join(row) for row in lists)
    for texts in spelled:
        scores = scorer.score(fresh.with_columns(genres=pl.Series(list(texts))))
        np.testing.assert_allclose(scores, slow_scores(made, fresh), rtol=0, atol=1e-6)


def test_a_file_without_header_and_label_scores_as_the_one_with_labels(tmp_path: Path) -> None:
    columns = f"[{', '.join(CSV_COLUMNS)}]"
    train, fresh = (rows.select(CSV_COLUMNS) for rows in (clicks(100), ROWS))
    made = make(f"{CSV}data: {{format: csv, header: false, columns: {columns}}}\n", train, tmp_path)
    scorer = Scorer(export(made, tmp_path / "bundle", fresh))
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    fresh.write_csv(old, include_header=False)
    fresh.drop("clicked").write_csv(new, include_header=False)
    assert scorer.unlabelled([old, new]) == [new]
    scorer.score_files([old, new], tmp_path / "scores.parquet")
    scores = pl.read_parquet(tmp_path / "scores.parquet")["score"]
    np.testing.assert_allclose(scores[:70], slow_scores(made, fresh)[:, 0], rtol=0, atol=1e-6)
    assert scores[70:].equals(scores[:70])


def test_several_tasks_have_a_column_each(tmp_path: Path) -> None:
    made = make(yaml("mlp", label="{click: clicked, buy: bought}"), clicks(50), tmp_path)
    bundle = export(made, tmp_path / "bundle", ROWS)
    ROWS.write_parquet(tmp_path / "rows.parquet")
    Scorer(bundle).score_files([tmp_path / "rows.parquet"], tmp_path / "scores.parquet")
    scores = pl.read_parquet(tmp_path / "scores.parquet")
    assert scores.columns == ["score.click", "score.buy"]
    np.testing.assert_allclose(scores.to_numpy(), slow_scores(made, ROWS), rtol=0, atol=1e-6)


def test_a_file_without_rows_gives_a_file_without_rows(bundle: Path, tmp_path: Path) -> None:
    ROWS.clear().write_parquet(tmp_path / "none.parquet")
    out = tmp_path / "scores.parquet"
    assert Scorer(bundle).score_files([tmp_path / "none.parquet"], out, keep=["item"]) == 0
    assert pl.read_parquet(out).schema == {"item": pl.String, "score": pl.Float64}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (ROWS.drop("item"), "no column 'item'"),
        (ROWS.with_columns(price=pl.lit("cheap")), "column price: expected a number, got 'cheap'"),
        (ROWS.with_columns(user=pl.lit("ann")), "column user: expected an integer, got 'ann'"),
        (ROWS.with_columns(items=pl.lit(3)), "column items: expected lists"),
        (ROWS.with_columns(shops=pl.col("shops").list.head(1)), "items, shops: sequences of one behaviour"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_no_file_is_written(
    bundle: Path, tmp_path: Path, frame: pl.DataFrame, message: str
) -> None:
    frame.write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=message):
        Scorer(bundle).score(frame)
    with pytest.raises(DataError, match=f"rows.parquet: .*{message}"):
        Scorer(bundle).score_files([tmp_path / "rows.parquet"], tmp_path / "out" / "scores.parquet")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_kept_column_must_exist_and_not_be_called_score(bundle: Path, tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "rows.parquet")
    for keep, message in [("nope", "no column 'nope'"), ("score", "keep: column 'score' has the name of a score")]:
        with pytest.raises(DataError, match=message):
            Scorer(bundle).score_files([tmp_path / "rows.parquet"], tmp_path / "scores.parquet", keep=[keep])


def test_a_column_that_is_to_be_kept_twice_is_kept_once(bundle: Path, tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "rows.parquet")
    Scorer(bundle).score_files([tmp_path / "rows.parquet"], tmp_path / "scores.parquet", keep=["item", "item"])
    assert pl.read_parquet(tmp_path / "scores.parquet").columns == ["item", "score"]


def test_serving_loads_neither_torchrec_nor_lightning() -> None:
    code = "import sys, recsys.serving; print([m for m in ('torchrec', 'fbgemm_gpu', 'lightning') if m in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"
