"""Gates, one paper a file: what a search multiplies the rows of an embedding table by."""
