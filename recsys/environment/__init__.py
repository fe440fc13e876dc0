"""The installed packages and the machine: the checks of `recsys doctor`, and the environment.json of a run.

Nothing here imports torch: a misfit of torch and fbgemm can end the process that imports them.
"""

from recsys.environment.findings import Finding, check_environment
from recsys.environment.record import environment_record

__all__ = ["Finding", "check_environment", "environment_record"]
