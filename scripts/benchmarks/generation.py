"""Writing, against `nn.LSTM` called for one step at a time."""

from collections.abc import Iterator

import torch

from benchmarks.compare import Result, compare
from benchmarks.plain import PlainModel
from charlm.draws import Draws
from charlm.generation.decoder import Decoder
from charlm.generation.numpy_ops import on_one_thread
from charlm.model.cells.lstm import LSTM
from charlm.model.language_model import Architecture, LanguageModel
from charlm.training.checkpointing import weights_of
from charlm.training.precision import set_threads

VOCABULARY = 96


def rows(quick: bool) -> Iterator[Result]:
    """Every figure of this kind, both ways on one thread: products of one step gain by no other."""
    steps, n = (2, 3) if quick else (4, 7)
    with set_threads(1), on_one_thread():
        yield one_stream(2, 128, 400 * steps, n)
        yield one_stream(2, 512, 100 * steps, n)


def one_stream(layers: int, hidden: int, tokens: int, n: int) -> Result:
    """One stream, token by token; the token is the most probable one."""
    model = LanguageModel(Architecture(VOCABULARY, "lstm", layers, hidden, hidden, False))
    model.initialise("orthogonal", Draws(1, 0))
    decoder = Decoder(LSTM(), weights_of(model))
    plain_model = PlainModel(VOCABULARY, hidden, layers).eval()

    def ours() -> None:
        state, token = decoder.empty_state(1), 0
        for _ in range(tokens):
            logits, state = decoder.feed([token], state)
            token = int(logits[0].argmax())

    @torch.inference_mode()
    def plain() -> None:
        state, token = None, torch.zeros(1, 1, dtype=torch.long)
        for _ in range(tokens):
            logits, state = plain_model(token, state)
            token = logits[:, 0].argmax(1, keepdim=True)

    return compare(
        f"generation, one stream, LSTM {layers} x {hidden}", "tokens/s", tokens, ours, plain, n
    )
