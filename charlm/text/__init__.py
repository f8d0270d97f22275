"""Text to ids and back: corpora, splits, tokenizers, the token cache. Knows no tensors."""
