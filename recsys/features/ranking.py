"""Golden rows as users and candidates, to compare the scores of both forms."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from recsys.bundle_folder import CANDIDATE_LENGTHS
from recsys.features.transform import canonical_inputs

__all__ = ["golden_ranking"]


def golden_ranking(
    canonical: pl.DataFrame, of_user: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], int]:
    """Return rows as users, each with up to seven rows as candidates, and the same as plain rows.

    Args:
        canonical: canonical rows.
        of_user: columns that are the users'.

    Returns:
        Users and candidates as exported models take them, plain rows as these take them, and the number of candidates.

    >>> given, rows, _ = golden_ranking(pl.DataFrame({"user": [7, 8], "item": [1, 2]}), ["user"])
    >>> [given[name].tolist() for name in ("user", "item", "candidates.lengths")]
    [[7, 8], [1, 2, 1, 2, 1, 2, 1], [3, 4]]
    >>> rows["user"].tolist()
    [7, 7, 7, 8, 8, 8, 8]
    """
    rows = np.arange(canonical.height)
    counts = (rows + 3) % 8
    places = [(row + np.arange(count)) % canonical.height for row, count in zip(rows, counts, strict=True)]
    candidates = canonical[np.concatenate(places)]
    users = canonical[np.repeat(rows, counts)].select(of_user)
    given = canonical_inputs(canonical.select(of_user)) | canonical_inputs(candidates.drop(of_user))
    plain = candidates.with_columns(users.get_columns())
    return given | {CANDIDATE_LENGTHS: counts}, canonical_inputs(plain), plain.height
