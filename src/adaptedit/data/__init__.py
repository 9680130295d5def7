"""Samples with masks: the synthetic pairs that `tiny` is trained and measured on."""
