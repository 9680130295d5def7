"""The `adaptedit` command: one module for each of its commands."""
