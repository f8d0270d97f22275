"""What bench.py measures: charlm and the plain PyTorch way, side by side in one run."""
