"""A layer's window of many steps as one computation, with its own backward pass."""
