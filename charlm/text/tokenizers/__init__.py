"""The tokenizers, a file each; `base` is what they share, `utf8` how bytes spell a character."""
