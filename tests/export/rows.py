"""Rows and configurations that the tests of export and serving share."""

import numpy as np
import polars as pl

HEAD = """
label: {label}
features:
  user: {{type: id}}
  item: {{type: id, min_count: 2}}
  shop: {{type: id, vocabulary: open}}
  genres: {{type: ids, max_len: 2, separator: "|"}}
  price: {{type: number, transform: log1p, normalize: standard}}
  age: {{type: bucket, column: years, quantiles: 4}}
  time: {{type: datetime, parts: [hour, month]}}
  item_x_user: {{type: cross, of: [item, user]}}
  items: {{type: sequence, of: item, max_len: 3, behaviour: clicks}}
  shops: {{type: sequence, of: shop, max_len: 3, behaviour: clicks}}
  marks: {{type: sequence, max_len: 3, behaviour: clicks, min_count: 2}}
  users: {{type: sequence, of: user, max_len: 2}}
  moods: {{type: sequence, max_len: 2}}
tables:
  things: {{features: [user, item], dim: {dim}}}
  hashed: {{features: [shop, genres, item_x_user], scheme: hash, rows: 11}}
  small: {{features: [age], scheme: hash, rows: 3}}
"""

HISTORIES = ["items", "shops", "marks", "users", "moods"]
"""The columns of sequences, which are all inputs of the user."""

MODELS = {
    "din": "{tower: din, dim: 4, attention: [6], mlp: [8, 4]}",
    "din_softmax": "{tower: din, dim: 4, attention: [6], mlp: [8], attention_softmax: true, batch_norm: true}",
    "mlp": "{tower: mlp, dim: 4, mlp: [8, 4], activation: prelu}",
    "autoint": "{tower: autoint, dim: 8, layers: 2, heads: 2, attention_dim: 4, mlp: [6]}",
    "fm": "{tower: fm, dim: 8}",
    "lr": "{tower: lr, dim: 8}",
}
"""Tables have two widths where the tower can take them."""

SMALL = """
label: clicked
features:
  user: {type: id}
  items: {type: sequence, of: item, max_len: 2}
  item: {type: id, vocabulary: open}
tables: {things: {features: [item], scheme: hash, rows: 5}}
model: {tower: mlp, dim: 4, mlp: [4]}
"""
"""A model of few parts, whose history is pooled."""


def yaml(model: str, *, label: str = "clicked") -> str:
    return HEAD.format(label=label, dim=8) + f"model: {MODELS[model]}\n"


def clicks(num_rows: int, *, seed: int = 1) -> pl.DataFrame:
    """Draw a click log with nulls, unseen values, empty and overlong lists."""
    draw = np.random.default_rng(seed)
    histories = [draw.integers(0, 12, size=draw.integers(0, 6)).tolist() for _ in range(num_rows)]
    number = [None if x > 3 else x for x in draw.normal(scale=2, size=num_rows).tolist()]
    return pl.DataFrame(
        {
            "clicked": draw.integers(0, 2, num_rows),
            "bought": draw.integers(0, 2, num_rows),
            "user": [None if u == 0 else int(u) for u in draw.integers(0, 9, num_rows)],
            "item": [f"item{i}" for i in draw.integers(0, 12, num_rows)],
            "shop": draw.integers(-(10**12), 10**12, num_rows),
            "genres": ["|".join(draw.choice(list("abcd"), draw.integers(0, 4))) for _ in range(num_rows)],
            "price": number,
            "years": draw.integers(10, 80, num_rows).astype(np.float64),
            "time": draw.integers(-(10**9), 2 * 10**9, num_rows),
            "items": [[f"item{i}" for i in history] for history in histories],
            "shops": [[10**9 * i for i in history] for history in histories],
            "marks": [[i * i % 5 for i in history] for history in histories],
            "users": [[None, *history[:3]] if len(history) > 4 else history[:3] for history in histories],
            "moods": [["good", "bad", "none"][: len(history) % 4] for history in histories],
        }
    )
