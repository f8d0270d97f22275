"""What a model knows: exact nats of texts and lines, how it adapts, what its units follow."""
