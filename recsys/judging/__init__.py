"""Judgements of a run beyond its figures, which need its model or the raw columns of its rows."""
