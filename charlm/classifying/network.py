"""The network that a classifier's configuration describes."""

from charlm.classifier_settings import ClassifierConfig
from charlm.model.classifier import ClassifierArchitecture
from charlm.planning import architecture_of
from charlm.text.tokenizers.base import Tokenizer


def classifier_architecture(
    config: ClassifierConfig, classes: int, tokenizer: Tokenizer
) -> ClassifierArchitecture:
    """The network that a resolved configuration, its classes and its tokenizer give."""
    c = config.classifier
    return ClassifierArchitecture(
        architecture_of(config, tokenizer),
        classes,
        c.pooling,
        c.head_size,
        encoders=len(directions_of(config)),
        heads=1 if c.backward is None else 2,
        predicts=c.lm_loss > 0,
    )


def directions_of(config: ClassifierConfig) -> tuple[str, ...]:
    """In which each encoder reads a text."""
    first = config.model.direction
    other = {"forward": "backward", "backward": "forward"}[first]
    two = config.classifier.bidirectional or config.classifier.backward is not None
    return (first, other) if two else (first,)
