"""How `tiny` itself is trained, stage by stage. Its losses are its own, not the paper's."""
