"""The processes of `recsys train --devices N`: started together, stopped together, with one reason when they fail.

Nothing here imports torch: a process that only waits needs none of its memory.
"""

from recsys.launch.run import launch

__all__ = ["launch"]
