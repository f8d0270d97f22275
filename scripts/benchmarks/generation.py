"""Writing, against `nn.LSTM` called for one step at a time."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.compare import Result, compare
from benchmarks.plain import PlainModel
from charlm.draws import Draws
from charlm.generation.compiled import CompiledDecoder
from charlm.generation.context import StepDecoder
from charlm.generation.decoder import Decoder
from charlm.generation.generate import generate_many
from charlm.generation.settings import GenerationSettings, SamplingSettings
from charlm.model.cells.lstm import LSTM
from charlm.model.language_model import Architecture, LanguageModel
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from charlm.training.checkpointing import weights_of
from charlm.training.precision import set_threads

# Every character that a keyboard has, seen often enough to be a token.
TOKENIZER = fit_tokenizer(
    TokenizerSettings(kind="char"), ["".join(map(chr, range(32, 127))) * 2 + "\n\n"]
)
FILTERS: dict[str, dict[str, Any]] = {
    "": {},
    ", top-p 0.9": {"top_p": 0.9},
    ", fp32": {"precision": "fp32"},
}


def rows(quick: bool) -> Iterator[Result]:
    """Every figure of this kind: text that is written, from its first token to its last.

    One stream on one thread both ways, as products of one step gain nothing by another.
    """
    steps, n = (2, 3) if quick else (4, 7)
    for hidden, tokens in ((128, 1000), (512, 200)):
        for name in FILTERS:
            with set_threads(1):
                yield written(2, hidden, tokens * steps, 1, name, n)
    yield written(2, 512, 50 * steps, 64, "", n)


def written(layers: int, hidden: int, tokens: int, samples: int, name: str, n: int) -> Result:
    """Samples of so many tokens, drawn at temperature 1.

    The plain way takes a third as many and the most probable token, and makes no text of them.
    """
    vocabulary = TOKENIZER.vocabulary_size
    model = LanguageModel(Architecture(vocabulary, "lstm", layers, hidden, hidden, False))
    model.initialise("orthogonal", Draws(1, 0))
    options = dict(FILTERS[name])
    decoder: StepDecoder
    if options.pop("precision", None) == "fp32":
        decoder = Decoder(LSTM(), weights_of(model))
    else:
        decoder = CompiledDecoder(LSTM(), weights_of(model), True, 0.0, 1, lambda said: None)
    sampling = SamplingSettings(**options)
    settings = GenerationSettings(sampling=sampling, length=tokens, num_samples=samples)

    def ours() -> None:
        for _ in generate_many(decoder, TOKENIZER, ["a"], settings):
            pass

    what = f"generation, LSTM {layers} x {hidden}{name}"
    what += f", {samples} samples at once" if samples > 1 else ", one stream"
    plain = _plain(PlainModel(vocabulary, hidden, layers), samples, tokens // 3)
    return compare(what, "tokens/s", tokens * samples, ours, plain, n, share=tokens // 3 / tokens)


def _plain(model: PlainModel, streams: int, tokens: int) -> Callable[[], None]:
    model.eval()

    @torch.inference_mode()
    def plain() -> None:
        state, ids = None, torch.zeros(1, streams, dtype=torch.long)
        for _ in range(tokens):
            logits, state = model(ids, state)
            ids = logits[0].argmax(1)[None]

    return plain
