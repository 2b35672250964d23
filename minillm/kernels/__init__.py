"""Fast ways to compute what the readable code defines; they know tensors only."""
