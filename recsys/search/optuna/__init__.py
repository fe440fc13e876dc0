"""Searches by trials with Optuna: the space, the study, the queue that processes share, and one trial."""
