"""The training loop, its losses and its imperfect masks."""
