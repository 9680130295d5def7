"""Readers of published data sets, from their real files."""
