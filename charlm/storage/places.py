"""Whether a file can be put where a person wants it: asked before the work, not after it."""

import os
from pathlib import Path

from charlm.errors import UsageError


def require_file_place(path: str | Path) -> Path:
    """Where the file will be, links followed. UsageError: its folder is not there or may not be
    written, or something stands there that is no plain file."""
    target = Path(os.path.realpath(path))
    wrong = None
    if os.path.exists(target) and not os.path.isfile(target):
        wrong = "is not a file"
    elif not os.path.isdir(target.parent):
        wrong = "is in a folder that does not exist"
    elif not os.access(target.parent, os.W_OK | os.X_OK):
        wrong = "is in a folder that may not be written"
    if wrong is not None:
        raise UsageError(f"{path} {wrong}", "Give the name of a file in a folder of your own.")
    return target
