"""The Python surface: what `import recsys` offers to notebooks and scripts, and what the command line calls.

Users import the names from `recsys` itself, which loads the modules here when a name is first used.
"""
