"""Measure an editor: per-sample results first, tables from them."""
