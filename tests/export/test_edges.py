"""Golden rows at the edges of what a model may be asked."""

from datetime import datetime
from pathlib import Path

import polars as pl

from recsys.export.edges import with_edges
from recsys.features.fingerprint import NULL_KEY
from recsys.features.transform import canonicalize, encode
from tests.export.models import make
from tests.export.rows import clicks, yaml


def test_nothing_unseen_empty_over_long_and_all_times_are_among_the_golden_rows(tmp_path: Path) -> None:
    text = yaml("din").replace("[hour, month]", "[minute, hour, weekday, weekend, month, day]")
    made = make(text, clicks(100), tmp_path)
    plain = clicks(5, seed=2)
    golden = with_edges(plain, made.resolved, made.state)
    assert golden[:5].equals(plain)
    assert golden[5:]["clicked"].null_count() == 0
    canonical = canonicalize(golden, made.resolved, made.state)[5:]
    assert canonical["user"][0] == canonical["time"][0] == NULL_KEY
    for name, most in {"items": 3, "shops": 3, "users": 2, "genres": 2}.items():
        lengths = canonical[name].list.len()
        assert lengths.min() == 0
        assert int(lengths.max()) > most  # type: ignore[arg-type]
    assert canonical["items"].list.len().equals(canonical["shops"].list.len())
    ids = pl.from_arrow(encode(canonical, made.resolved, made.state))
    assert isinstance(ids, pl.DataFrame)
    assert ids["user"].n_unique() >= 2
    assert ids["item"][1] == ids["user"][1] == 0
    seen = {part: set(ids[f"time.{part}"]) for part in ("weekday", "weekend", "month")}
    assert {part: len(values) for part, values in seen.items()} == {"weekday": 8, "weekend": 3, "month": 13}
    assert ids["time.hour"].n_unique() >= 20
    assert ids["time.minute"].n_unique() >= 20
    assert ids["time.day"].n_unique() >= 10


def test_times_of_any_type_and_a_group_that_is_a_feature_too(tmp_path: Path) -> None:
    text = """
label: clicked
group: user
features: {user: {type: id}, when: {type: datetime}}
model: {tower: mlp, dim: 4, mlp: [4]}
"""
    rows = pl.DataFrame({"clicked": [0, 1], "user": [7, 8], "when": [datetime(2026, 1, 1), None]})
    made = make(text, rows, tmp_path)
    golden = with_edges(rows, made.resolved, made.state)
    assert golden["user"].null_count() == 0
    assert golden["when"].n_unique() == 26
    assert with_edges(rows.clear(), made.resolved, made.state).is_empty()
