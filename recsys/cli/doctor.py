"""`recsys doctor`: findings as a table, and what to install."""

from rich.table import Table
from rich.text import Text

from recsys.console import log, print_table
from recsys.environment import check_environment
from recsys.kernels.findings import check_kernels

__all__ = ["show_findings"]

_STYLE = {"ok": "green", "warning": "yellow", "error": "red"}


def show_findings() -> bool:
    """Print every finding and its remedy; return whether nothing is broken."""
    findings = [*check_environment(), check_kernels()]
    table = Table("", "what", "found", box=None)
    for finding in findings:
        table.add_row(Text(finding.level, style=_STYLE[finding.level]), finding.what, finding.detail)
    print_table(table, stderr=True)
    for finding in findings:
        if finding.remedy:
            log(f"{finding.what}: {finding.remedy}")
    return all(finding.level != "error" for finding in findings)
