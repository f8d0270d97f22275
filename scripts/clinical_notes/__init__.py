"""A probabilistic grammar of clinical notes whose every text has exactly one derivation."""
