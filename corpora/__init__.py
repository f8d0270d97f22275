"""Embedded corpora: one folder each, with a README on origin, making and licence."""
