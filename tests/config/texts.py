"""Beginnings of configurations."""

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
