"""A benchmark of the compression of embeddings: every scheme at every budget, trained and compared.

A cell is one training: a scheme whose size is computed from a budget, and a seed. `compare` in run.py trains the cells
that a folder lacks, each in a worker process (which is why this file imports nothing: see workers.py), and writes
results.csv, report.md and pareto.png.
"""
