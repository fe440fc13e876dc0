from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.config import ResolvedConfig, load_config, resolve
from recsys.errors import DataError
from recsys.sources.source import open_source
from recsys.suggest.suggest import suggest_for_file

ROWS = 1000


def shop() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 20, ROWS)
    click = rng.integers(0, 2, ROWS)
    return pl.DataFrame(
        {
            "row": np.arange(ROWS),
            "click": click,
            "user_id": rng.integers(0, 99, ROWS),
            "item_id": rng.integers(1, 80, ROWS),
            "price": np.exp(rng.normal(3, 2, ROWS)),
            "city": rng.choice(["paris", "new # york", "yes: no"], ROWS),
            "clicked_items": [rng.integers(1, 80, n).tolist() for n in lengths],
            "ts": 1_600_000_000 + 100 * np.arange(ROWS),
            "country": ["fr"] * ROWS,
            "paid": click * 9.5,
        }
    )


def planned(text: str, data: Path) -> ResolvedConfig:
    """Load what was suggested, and resolve it against the data."""
    path = data.parent / "config.yaml"
    path.write_text(text, encoding="utf-8")
    config = load_config(path)
    return resolve(config, list(open_source([data], config.data).columns))


def test_columns_whose_names_are_no_plain_keys_can_be_features(tmp_path: Path) -> None:
    names = [
        "price*",
        "price_",
        "wh?t",
        "a[b]",
        "two words",
        "it's",
        "#no",
        "yes: no",
        "-",
        "null",
        "~",
        "%",
        "tab\there",
    ]
    values = {name: ["a", "b", "b"] for name in names}
    pl.DataFrame({"click*": [0, 1, 1], **values}).write_parquet(tmp_path / "f.parquet")
    found = planned(suggest_for_file(tmp_path / "f.parquet", label="click*"), tmp_path / "f.parquet")
    assert [feature.column_of(name) for name, feature in found.features.items()] == names
    assert list(found.features)[:3] == ["price_1", "price_", "wh_t"]


def test_the_draft_of_a_shop(tmp_path: Path) -> None:
    shop().write_parquet(tmp_path / "shop.parquet")
    text = suggest_for_file(tmp_path / "shop.parquet", label="click")
    lines = [line.split("  # ")[0].rstrip() for line in text.splitlines()]
    assert [line for line in lines if line and not line.startswith("#")] == [
        "label: click",
        "group: user_id",
        "features:",
        "  user_id: {type: id}",
        "  item_id: {type: id}",
        "  price: {type: number, transform: log1p, normalize: standard}",
        "  city: {type: id}",
        "  clicked_items: {type: sequence, of: item_id, max_len: 19}",
        "  ts: {type: datetime, parts: [hour, weekday]}",
        "data:",
        f"  train: {tmp_path}/shop.parquet",
        "model: {tower: din}",
    ]
    assert "  # row: {type: id}" in text
    assert "  # country: {type: id}" in text
    assert "alone it ranks the labels with AUC 1.000" in text
    assert "  # split: {by: time, column: ts}" in text
    fields = [field.name for field in planned(text, tmp_path / "shop.parquet").fields]
    assert fields == ["user_id", "item_id", "price", "city", "clicked_items", "ts.hour", "ts.weekday"]


def test_a_csv_file_gets_the_same_draft(tmp_path: Path) -> None:
    frame = shop().drop("clicked_items")
    frame.write_parquet(tmp_path / "shop.parquet")
    frame.write_csv(tmp_path / "shop.csv")
    texts = [suggest_for_file(tmp_path / name, label="click") for name in ("shop.parquet", "shop.csv")]
    parquet, csv = ([line.split("  # ")[0] for line in text.splitlines() if line[:3] == "  "] for text in texts)
    assert [line.rstrip() for line in csv[:6]] == [line.rstrip() for line in parquet[:6]]
    planned(texts[1], tmp_path / "shop.csv")


def criteo(rows: int = 1000) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    columns: dict[str, object] = {"label": rng.integers(0, 2, rows)}
    columns |= {f"I{i + 1}": np.exp(rng.normal(2, 2, rows)).astype(int) for i in range(13)}
    columns["I10"] = rng.integers(0, 4, rows)  # few values: an id, were it not for its family
    columns |= {f"C{i + 1}": [f"{x:08x}" for x in rng.integers(0, 5 + i * i, rows)] for i in range(26)}
    return pl.DataFrame(columns)


def test_families_of_columns_are_globs(tmp_path: Path) -> None:
    criteo().rename({"label": "Clicked"}).write_parquet(tmp_path / "criteo.parquet")  # C* does not match a label
    text = suggest_for_file(tmp_path / "criteo.parquet", label="Clicked")
    assert '  "I*": {type: number, transform: log1p, normalize: standard}' in text
    assert '  "C*": {type: id}' in text
    assert "# 26 columns, C1 to C26: 5 to " in text
    assert text.count("{type:") == 2
    assert len(planned(text, tmp_path / "criteo.parquet").fields) == 39


def test_a_glob_that_would_match_more_is_not_used(tmp_path: Path) -> None:
    frame = criteo().with_columns(Cid=pl.Series(["x", "y"] * 500), Constant=pl.lit(1))
    frame.write_parquet(tmp_path / "criteo.parquet")
    text = suggest_for_file(tmp_path / "criteo.parquet", label="label")
    assert '"I*"' in text
    assert '"C*"' not in text
    assert text.count("{type: id}") == 28
    assert len(planned(text, tmp_path / "criteo.parquet").fields) == 40


def test_columns_without_names_are_named_by_what_they_are(tmp_path: Path) -> None:
    criteo().write_csv(tmp_path / "criteo.txt", separator="\t", include_header=False)
    text = suggest_for_file(tmp_path / "criteo.txt", label="col_1", header=False)
    resolved = planned(text, tmp_path / "criteo.txt")
    assert resolved.config.label == "label"
    columns = resolved.config.data.columns or ()
    assert [columns[i] for i in (0, 1, 13, 14, 39)] == ["label", "I1", "I13", "C1", "C26"]
    assert [field.kind for field in resolved.fields] == ["number"] * 13 + ["id"] * 26
    assert text.count("{type:") == 2


def test_the_label_of_a_file_without_names_goes_by_its_number(tmp_path: Path) -> None:
    criteo().write_csv(tmp_path / "criteo.txt", separator="\t", include_header=False)
    with pytest.raises(DataError, match="no column 'label'; without a header they are col_1 to col_40"):
        suggest_for_file(tmp_path / "criteo.txt", label="label", header=False)


@pytest.mark.parametrize("separator", ["", "\n", '"', "a\0"])
def test_a_separator_is_neither_a_quote_nor_a_line_end(tmp_path: Path, separator: str) -> None:
    shop().drop("clicked_items").write_csv(tmp_path / "shop.csv")
    with pytest.raises(DataError, match="separator: must be one character or several, without"):
        suggest_for_file(tmp_path / "shop.csv", label="click", separator=separator)


def test_another_separator_is_proposed(tmp_path: Path) -> None:
    shop().drop("clicked_items").write_csv(tmp_path / "shop.csv", separator=";")
    with pytest.raises(DataError, match=r'no column .click.; ";" seems .*recsys init: --separator ";"\)$'):
        suggest_for_file(tmp_path / "shop.csv", label="click")


def test_the_format_can_be_given(tmp_path: Path) -> None:
    shop().drop("clicked_items").write_csv(tmp_path / "shop")
    assert "\n  format: csv\n" in suggest_for_file(tmp_path / "shop", label="click", form="csv")


def test_only_text_may_lack_a_header(tmp_path: Path) -> None:
    shop().write_parquet(tmp_path / "shop.parquet")
    with pytest.raises(DataError, match="only csv and tsv files may lack a header"):
        suggest_for_file(tmp_path / "shop.parquet", label="col_1", header=False)


def test_another_separator_is_written_down(tmp_path: Path) -> None:
    shop().drop("clicked_items").write_csv(tmp_path / "shop.csv", separator="|")
    text = suggest_for_file(tmp_path / "shop.csv", label="click", separator="|")
    assert '  separator: "|"' in text
    planned(text, tmp_path / "shop.csv")


def test_names_that_yaml_would_read_otherwise_are_quoted(tmp_path: Path) -> None:
    names = ["1e3", "null", "a: b", "with # sign", "x,y", "Stra\u00dfe \U0001f600", 'quo"te', "tab\there", "- dash"]
    values = {name: ["u", "v", "w", "w"] * 50 for name in names}
    pl.DataFrame({"click": [0, 1, 1, 0] * 50} | values).write_parquet(tmp_path / "odd.parquet")
    resolved = planned(suggest_for_file(tmp_path / "odd.parquet", label="click"), tmp_path / "odd.parquet")
    assert [feature.column_of(name) for name, feature in resolved.features.items()] == names


def test_values_cannot_break_out_of_their_comment(tmp_path: Path) -> None:
    values = ["a\nfeatures: 1", "b\u2028c", "d" * 500, "\x07"]
    frame = pl.DataFrame({"click": [0, 1] * 100, "city": values * 50})
    frame.write_parquet(tmp_path / "f.parquet")
    text = suggest_for_file(tmp_path / "f.parquet", label="click")
    assert len(planned(text, tmp_path / "f.parquet").fields) == 1
    assert max(map(len, text.splitlines())) < 250


def test_weights_are_used_as_weights(tmp_path: Path) -> None:
    shop().with_columns(sample_weight=pl.lit(0.5)).write_parquet(tmp_path / "f.parquet")
    resolved = planned(suggest_for_file(tmp_path / "f.parquet", label="click"), tmp_path / "f.parquet")
    assert resolved.config.weight == "sample_weight"
    assert "sample_weight" not in resolved.features


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("clik", "no column 'clik'; did you mean 'click'"),
        ("city", "column city: a label must be 0 or 1, it holds "),
        ("item_id", "column item_id: a label must be 0 or 1, it holds values from 1 to 79"),
        ("clicked_items", "column clicked_items: a label must be 0 or 1"),
    ],
)
def test_a_label_that_cannot_be_is_refused(tmp_path: Path, label: str, message: str) -> None:
    shop().write_parquet(tmp_path / "shop.parquet")
    with pytest.raises(DataError, match=message):
        suggest_for_file(tmp_path / "shop.parquet", label=label)


def test_a_file_without_rows_or_features_is_refused(tmp_path: Path) -> None:
    shop().clear().write_parquet(tmp_path / "empty.parquet")
    with pytest.raises(DataError, match="there are no rows"):
        suggest_for_file(tmp_path / "empty.parquet", label="click")
    shop().select("click", "country").write_parquet(tmp_path / "bare.parquet")
    with pytest.raises(DataError, match="no column can be a feature: country: the same value in every row"):
        suggest_for_file(tmp_path / "bare.parquet", label="click")
    with pytest.raises(DataError, match="there is no file"):
        suggest_for_file(tmp_path / "absent.csv", label="col_1", header=False)
