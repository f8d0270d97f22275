"""Writing by a model that has learned from its prompt, or has a cache or counts beside it."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from charlm.adaptation import Beside, DynamicSettings
from charlm.errors import UsageError
from charlm.generation.cached import CachedDecoder
from charlm.generation.context import StepDecoder
from charlm.generation.counted import CountedDecoder
from charlm.generation.decoder import decoder_of
from charlm.generation.decoders import decoder_in
from charlm.generation.generate import WRITINGS, generate_many
from charlm.generation.settings import GenerationSettings
from charlm.generation.weights import Weights
from charlm.generation.writing import Piece

if TYPE_CHECKING:
    from charlm.loaded import Model

Say = Callable[[str], None]


def adapted_pieces(
    model: "Model",
    prompts: Sequence[str],
    settings: GenerationSettings,
    beside: Beside,
    say: Say,
) -> Iterator[Piece]:
    """As `Model.pieces`; each prompt by a model of its own that has learned from it alone.

    UsageError: bf16 with a cache, which reads what a compiled decoder does not give out.
    """
    cache = beside.cache
    if cache is not None and settings.precision == "bf16":
        raise UsageError("--cache needs --precision fp32, and bf16 is given", "Leave it out.")

    mixture = None
    if beside.counts is not None:
        from charlm.evaluation.device import put_to_work

        # One thread: how many are fastest is tried by the clock, and would move the last digits.
        network = put_to_work(model.language_model, threads=1)
        mixture = model.own_counts(beside.counts, say).mixture(network, say)

    def decoder_with(weights: Weights) -> StepDecoder:
        decoder: StepDecoder
        if cache is not None:
            plain = decoder_of(model.config, weights)
            decoder = CachedDecoder(plain, model.tokenizer.grammar, cache)
        elif weights is model.stored.weights:
            decoder = model.decoder(settings.precision, say)
        else:
            decoder = decoder_in(settings.precision, model.config, weights, say)
        if mixture is None:
            return decoder
        return CountedDecoder(decoder, model.tokenizer.grammar, mixture)

    direction = model.config.model.direction
    if beside.dynamic is None:
        decoder = decoder_with(model.stored.weights)
        yield from generate_many(decoder, model.tokenizer, prompts, settings, direction)
        return
    for prompt in prompts:
        decoder = decoder_with(_weights_after(model, prompt, beside.dynamic, say))
        yield from generate_many(decoder, model.tokenizer, [prompt], settings, direction)


def _weights_after(model: "Model", prompt: str, settings: DynamicSettings, say: Say) -> Weights:
    """What the weights are when `prompt` has been learned from; the model stays as it is."""
    import numpy as np

    from charlm.evaluation.adapting import learning
    from charlm.evaluation.device import put_to_work
    from charlm.evaluation.own_text import training_ids
    from charlm.training.checkpointing import weights_of

    direction = model.config.model.direction
    ids = np.array(WRITINGS[direction].prompt_ids(model.tokenizer, prompt), np.int64)
    network = put_to_work(model.language_model, threads=1)
    usual = training_ids(model.stored, direction)
    with learning(network, model.tokenizer, settings, usual, say) as evaluation:
        for _ in evaluation.read_on(ids):
            pass
        # Those that learn are put back: a copy of theirs, and the tables as they stand.
        learned = {name for name, _ in network.dense()}
        return {n: w.copy() if n in learned else w for n, w in weights_of(network).items()}
