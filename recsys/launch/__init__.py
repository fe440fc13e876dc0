"""The processes of `recsys train --devices N`: started together, stopped together, with one reason when they fail.

torchrun.py and failure.py are what a worker and the process that started it know of each other. Nothing here imports
torch: a process that only waits for others needs none of its memory.
"""

from recsys.launch.launcher import Outcome, launch

__all__ = ["Outcome", "launch"]
