"""What `auto` becomes for dropouts, resets and the decay of weights."""

from collections.abc import Iterator
from typing import Any

from charlm.config import Config
from charlm.contradictions import USUAL
from charlm.settings import AUTO
from charlm.training.usual_resets import usual_resets

_WEIGHT_DECAY = {
    "sgd": (1.2e-6, "as in Merity et al. 2018"),
    "nt-asgd": (1.2e-6, "as in Merity et al. 2018"),
    "rmsprop": (0.0, "its steps do not shrink with the weights: dropout serves better"),
    "adam": (0.0, "coupled decay is lost in its division: adamw has it"),
    "adamw": (0.1, "with adamw"),
    "muon": (0.1, "with muon"),
}


def regularisation_choices(
    config: Config, passes: float, recurrent: bool, sampled: bool
) -> Iterator[tuple[str, Any, str]]:
    """Each setting with its value for a text that is read so many times, and the reason.

    sampled: the vocabulary is so large that a step learns from a sample of it.
    """
    r = config.regularisation
    # Little is learned by heart in the first passes; then dropout grows with their number. Each
    # token of a large vocabulary is seen rarely, and what is seen rarely is learned by heart sooner
    # (scripts/LOG.md, "More dropout for words").
    rate = round(min(0.5, 0.06 * passes if sampled else 0.04 * passes**0.7), 2)
    reason = f"about {passes:.1f} passes over the text are expected"
    yield "regularisation.embedding_dropout", 0.0, "off unless asked for"
    yield "regularisation.input_dropout", round(rate / 4, 2), reason
    between = rate if config.model.layers > 1 else 0.0
    yield "regularisation.inter_layer_dropout", between, reason
    yield "regularisation.output_dropout", rate, reason
    temporal = round(rate / 2, 2) if recurrent else 0.0
    if r.temporal_dropout_kind != AUTO or r.temporal_dropout_mask != AUTO:
        temporal = max(temporal, 0.05)  # whoever names a kind wants some of it
    yield "regularisation.temporal_dropout", temporal, reason
    kind, mask = USUAL["temporal_dropout_kind"], USUAL["temporal_dropout_mask"]
    yield "regularisation.temporal_dropout_kind", kind, "the default kind"
    reason = "keeps the library kernel; of equal worth in our measurements"
    yield "regularisation.temporal_dropout_mask", mask, reason
    yield ("regularisation.reset_probability", *usual_resets(config.model))
    yield ("regularisation.weight_decay", *_WEIGHT_DECAY[config.optimisation.optimizer])
