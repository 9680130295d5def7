"""Picture files of every kind: reading, 16 bits, metadata, saving. Knows no editor."""
