"""Learning from streams: batches, the loop, optimisers, and sizes that are chosen."""
