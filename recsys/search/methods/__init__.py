"""Search methods, one paper a file."""
