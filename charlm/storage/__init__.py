"""Files on disk, strictly read and atomically written: what `text` and `runs` both stand on."""
