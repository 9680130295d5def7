"""Samples with masks: synthetic pairs, rendered pairs, and readers of published data sets."""
