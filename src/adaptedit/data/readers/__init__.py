"""Readers of data sets, from their real files: each module's `load` gives a `base.Reader`."""
