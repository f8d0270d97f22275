"""The run directory: configuration, tokenizer, checkpoints, metrics, one-file export.

    manifest  -> which files belong together, with their sizes and hashes
    tensors   -> named arrays <-> safetensors bytes
    lock, directory, checkpoint, metrics, export: built from these and from `storage`

Knows arrays as NumPy only: no torch, no tokenizer, no model.
"""
