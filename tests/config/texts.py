"""Beginnings of configurations, and names."""

HEAD = """\
label: clicked
features:
  user: {type: id}
  item: {type: id}
  open: {type: id, vocabulary: open}
  price: {type: number}
  genres: {type: ids}
  time: {type: datetime, parts: [hour, day]}
  "C*": {type: id}
  history: {type: sequence, of: item}
"""
HASH = "tables: {hashed: {features: [open], scheme: hash, rows: 9}}\n"
PERMITTED = ["a.b", "a/b", "../x", "'", '"', " ", "a\\b", "_proto_", "forward", "training", "items", "[bold]", "日本"]
PERMITTED += ["%s{}", "null", "1", "true", "-", "#", "&a", "scheme=full", "a" * 199, "\u200b", "🙂", "a: b"]
"""Names that features, tables and tasks may have."""
