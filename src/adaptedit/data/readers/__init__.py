"""Data sets of others, read from their real files."""
