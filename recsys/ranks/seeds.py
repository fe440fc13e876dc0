"""Seeds derived from `train.seed`, one for each purpose."""

import hashlib

__all__ = ["derive_seed"]


def derive_seed(*parts: int | str) -> int:
    """Return a 63-bit seed for a purpose.

    Args:
        parts: `train.seed`, then whatever names the purpose.

    >>> derive_seed(1, "rank", 2) == derive_seed(1, "rank", 2), derive_seed(1, "rank", 2) == derive_seed(1, "rank", 3)
    (True, False)
    """
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
