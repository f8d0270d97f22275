"""The compiled decoder: weights cut to bf16, packed, and stepped through as machine code."""
