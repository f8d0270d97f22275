"""Recurrent language models on your own text, on your own machine.

charlm.train(["notes.txt"], "runs/notes", minutes=5)
charlm.load("runs/notes").generate("The patient ", length=200)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charlm.api import load, train
    from charlm.loaded import Model

__version__ = "0.1.0"
__all__ = ["Model", "__version__", "load", "train"]


def __getattr__(name: str) -> Any:
    """The functions of `charlm.api`, imported when first used: `charlm --help` needs none."""
    if name in __all__:
        from charlm import api

        return getattr(api, name)
    raise AttributeError(f"module 'charlm' has no attribute {name!r}")
