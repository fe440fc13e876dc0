"""Export trained models as bundles, which torch alone can score with."""

from recsys.export.bundle import write_bundle
from recsys.export.run import export_run
from recsys.export.torchscript import export_loaded, export_module, script

__all__ = ["export_loaded", "export_module", "export_run", "script", "write_bundle"]
