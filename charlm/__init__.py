"""Recurrent language models on your own text, on your own machine.

charlm.train(["notes.txt"], "runs/notes", minutes=5)
charlm.load("runs/notes").generate("The patient ", length=200)
charlm.finetune_classifier("runs/notes", "specialties.csv", "runs/specialty")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charlm.api import finetune_classifier, load, train
    from charlm.classifying.loaded import ClassifierModel
    from charlm.loaded import Model

__version__ = "0.1.0"
__all__ = ["ClassifierModel", "Model", "__version__", "finetune_classifier", "load", "train"]


def __getattr__(name: str) -> Any:
    """The functions of `charlm.api`, imported when first used: `charlm --help` needs none."""
    if name in __all__:
        from charlm import api

        return getattr(api, name)
    raise AttributeError(f"module 'charlm' has no attribute {name!r}")
