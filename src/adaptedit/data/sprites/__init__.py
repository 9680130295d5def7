"""The fast 2-D world: objects on backgrounds, with exact masks and targets."""
