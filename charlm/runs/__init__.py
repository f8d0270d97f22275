"""The run directory: configuration, tokenizer, checkpoints, metrics, one-file export.

    reading   -> bytes, JSON and TOML from files that a stranger may have written
    atomic    -> writing, so that a crash leaves the old or the new and nothing between
    manifest  -> which files belong together, with their sizes and hashes
    tensors   -> named arrays <-> safetensors bytes
    lock, directory, checkpoint, metrics, export: built from these four

Knows arrays as NumPy only: no torch, no tokenizer, no model.
"""
