"""AutoSrh: the later form of DNIS, which has a smaller rate and the paper's L1 penalty inside of the normalization.

Paper: Kong, Cheng and Shen, "An Automatic Embedding Size Search Framework", 2022, as in Zhang et al., VLDB 2024.
DIFF: blocks are cut by a knapsack, as those of DNIS are; the paper stores the largest entries of all rows.
"""

from collections.abc import Mapping
from typing import Any

from recsys.search.methods.dnis import Dnis

__all__ = ["AutoSrh"]


class AutoSrh(Dnis):
    """DNIS with the gate of AutoSrh."""

    name = "autosrh"
    title = "as dnis, in its later form with a tenth of the rate (AutoSrh, Kong et al. 2022)"

    def gate(self) -> Mapping[str, Any]:
        return {"kind": "autosrh"}
