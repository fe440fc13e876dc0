"""The search for the shape of embedding tables: which widths, which rows and which features are worth their bytes."""
