"""A click log with features of all types: lists, aligned histories, two readings of one column, a cross, one's own."""

from pathlib import Path
from typing import Any

from recsys.data.synthetic import generate

FEATURES: dict[str, Any] = {
    "user_id": {"type": "id"},
    "segment": {"type": "id"},
    "ts": {"type": "datetime", "parts": ["hour", "weekday"]},
    "item_id": {"type": "id"},
    "category": {"type": "id"},
    "taste": {"type": "cross", "of": ["segment", "category"]},
    "price": {"type": "number", "transform": "log1p", "normalize": "standard"},
    "price_range": {"type": "bucket", "column": "price", "quantiles": 5},
    "tags": {"type": "ids", "max_len": 8},
    "clicked_items": {"type": "sequence", "of": "item_id", "behaviour": "clicks", "max_len": 10},
    "clicked_categories": {"type": "sequence", "of": "category", "behaviour": "clicks", "max_len": 10},
}
UNITS = [
    "user_id",
    "segment",
    "ts",
    "item_id",
    "category",
    "taste",
    "price + price_range",
    "tags",
    "clicked_items + clicked_categories",
]
CHANGES: dict[str, Any] = {
    "label": "clicked",
    "group": "user_id",
    "features": FEATURES,
    "data": {"train": "train/*.parquet", "valid": "valid.parquet", "test": "test.parquet"},
}


def write_rich_log(folder: Path) -> Path:
    """Write 2,000 rows, of which 200 are test rows."""
    generate(folder, rows=2_000, num_users=50, num_items=80, num_categories=8, mean_history=4.0)
    return folder
