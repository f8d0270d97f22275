"""Corpora of the literature: where each comes from, its sums, and how it is cut."""
