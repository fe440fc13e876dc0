"""From a trained model to a bundle that torch alone can score with."""

from recsys.export.bundle import write_bundle
from recsys.export.torchscript import export_module, script

__all__ = ["export_module", "script", "write_bundle"]
