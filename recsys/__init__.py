"""CTR models from one YAML file: TorchRec tables, interaction towers, exact AUC, TorchScript export."""

__all__ = ["__version__"]

__version__ = "0.2.0"
