"""A trained model, ready to write, measure and score. Writing imports no torch."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from charlm.adaptation import CacheSettings, DynamicSettings
from charlm.errors import DataError, UsageError
from charlm.generation.context import StepDecoder
from charlm.generation.decoders import decoder_in
from charlm.generation.generate import WRITINGS, generate_many
from charlm.generation.settings import GenerationSettings, settings_of
from charlm.generation.writing import Piece
from charlm.looking import LookSettings
from charlm.runs.export import StoredModel
from charlm.stored_network import StoredNetwork
from charlm.text.lines import line_batches
from charlm.text.token_cache import prepare_whole

if TYPE_CHECKING:
    import numpy as np

    from charlm.evaluation.figures import Figures
    from charlm.evaluation.looking import Look
    from charlm.evaluation.scoring import ScoredLine
    from charlm.model.language_model import LanguageModel

_LINES, _LINE_CHARACTERS = 2048, 1 << 17  # scored at once


def _ignore(message: str) -> None:
    """Nobody is told."""


class Model(StoredNetwork):
    """A trained model: writes, measures, scores."""

    def __init__(self, stored: StoredModel) -> None:
        super().__init__(stored)
        self._decoders: dict[str, StepDecoder] = {}

    def decoder(self, precision: str = "auto", say: Callable[[str], None] = _ignore) -> StepDecoder:
        """Steps token by token, without torch; the precision as in `generation.settings`."""
        if precision not in self._decoders:
            weights = self.stored.weights
            self._decoders[precision] = decoder_in(precision, self.config, weights, say)
        return self._decoders[precision]

    def check(self) -> None:
        """RunError where its weights are not those of its configuration."""
        self.decoder("fp32")

    @cached_property
    def language_model(self) -> "LanguageModel":
        """The same network in torch, for whole texts."""
        from charlm.model.language_model import LanguageModel
        from charlm.planning import architecture_of
        from charlm.training.checkpointing import check_weights, put_weights

        architecture = architecture_of(self.config, self.tokenizer)
        check_weights(architecture, self.stored.weights, str(self.stored.path))
        model = LanguageModel(architecture)
        put_weights(model, self.stored.weights, str(self.stored.path))
        return model.eval()

    @property
    def prompt_follows(self) -> bool:
        """Whether a prompt is what follows the text, as with a backward model."""
        return WRITINGS[self.config.model.direction].prompt_follows

    def pieces(
        self,
        prompts: str | Sequence[str],
        settings: GenerationSettings | None = None,
        say: Callable[[str], None] = _ignore,
    ) -> Iterator[Piece]:
        """Every sample of a prompt, or of several, in order, piece by piece as it is written.

        A beam's texts and those of a backward model come whole.
        """
        settings = settings or GenerationSettings()
        prompts = [prompts] if isinstance(prompts, str) else prompts
        decoder = self.decoder(settings.precision, say)
        direction = self.config.model.direction
        yield from generate_many(decoder, self.tokenizer, prompts, settings, direction)

    def stream(self, prompt: str = "", **options: Any) -> Iterator[str]:
        """One sample's text as it is written; options as of `generate`."""
        if "num_samples" in options:
            raise UsageError(
                "num_samples is given, but one text is wanted", "Give each a seed, or use pieces."
            )
        for piece in self.pieces(prompt, settings_of(options)):
            yield piece.text

    def generate(self, prompt: str = "", **options: Any) -> str:
        """One sample's text, without the prompt; with `beam`, the best text found.

        Options: length, length_unit, stop, seed, temperature, top_k, top_p, min_p, typical_p,
        repetition_penalty, greedy, beam, precision.
        """
        return "".join(self.stream(prompt, **options))

    def evaluate(
        self,
        texts: Sequence[str | Path] = (),
        *,
        window: int | None = None,
        windows: int | None = None,
        dynamic: bool | DynamicSettings = False,
        cache: bool | CacheSettings = False,
        seed: int = 1,
        encoding: str = "utf-8",
        errors: str = "strict",
        stdin: BinaryIO | None = None,
        say: Callable[[str], None] = _ignore,
        precision: str = "auto",
        threads: int | str = "auto",
        device: str = "auto",
        kernel: str = "auto",
    ) -> dict[str, Any]:
        """Figures of a text: the keys of `charlm evaluate --json`.

        Without texts, of the run's own test (or valid) part: DataError if its tokens are gone.
        `dynamic`, `cache`: figures of dynamic evaluation and with a neural cache beside them,
        True or with settings of `charlm.adaptation`.
        """
        from charlm.evaluation.device import put_to_work
        from charlm.evaluation.measure import measure, measure_windows
        from charlm.evaluation.measure_adapting import measure_cached, measure_dynamic
        from charlm.evaluation.own_text import held_out_part, training_ids
        from charlm.training.precision import set_threads

        if window is not None and (dynamic or cache):
            raise UsageError(
                f"--{'dynamic' if dynamic else 'cache'} goes on from token to token, and --window "
                "begins anew with each window",
                "Give one of them.",
            )
        for name, number in (("window", window), ("windows", windows)):
            if number is not None and number < 1:
                raise UsageError(f"{name} is {number}; needed: a whole number from 1")
        model = put_to_work(self.language_model, precision, threads, device, kernel)
        with tempfile.TemporaryDirectory(prefix="charlm-") as folder:
            if texts:
                part = prepare_whole(
                    [texts] if isinstance(texts, str | Path) else list(texts),
                    self.tokenizer,
                    Path(folder),
                    direction=self.config.model.direction,
                    encoding=encoding,
                    errors=errors,
                    stdin=stdin,
                    say=say,
                )
            else:
                part = held_out_part(self.stored, self.config.model.direction, say)
            about = (model, self.tokenizer, part.ids, part.documents, part.counts)
            if window is not None:
                direction = self.config.model.direction
                return measure_windows(*about, window, windows, seed, direction).as_dict()

            def keys(found: "Figures") -> dict[str, Any]:
                return replace(found, source_bits=part.source_bits).as_dict()

            figures = keys(measure(*about))
            # One stream's products are small: a second thread that has to wait costs more.
            with set_threads(1 if threads == "auto" else None):
                if dynamic:
                    settings = DynamicSettings() if dynamic is True else dynamic
                    usual = training_ids(self.stored, self.config.model.direction)
                    figures["dynamic"] = keys(measure_dynamic(*about, settings, usual, say))
                if cache:
                    chosen = CacheSettings() if cache is True else cache
                    figures["cache"] = keys(measure_cached(*about, chosen, say))
            return figures

    def score(self, lines: Iterable[str], *, carry_state: bool = False) -> Iterator["ScoredLine"]:
        """Bits of each line, as `charlm score`. A line may hold its line break at the end.

        DataError: an empty line without one, which has no token; a lone surrogate.
        """
        from charlm.evaluation.device import put_to_work
        from charlm.evaluation.scoring import LineScorer

        model = put_to_work(self.language_model)
        scorer = LineScorer(model, self.tokenizer, carry_state, self.config.model.direction)
        remaining = iter(lines)
        while batch := list(islice(remaining, _LINES)):
            if "" in batch:
                raise DataError(
                    "an empty line without a line break has no token to score",
                    "Leave it out, or give it its line break.",
                )
            yield from scorer.score(batch)

    def score_stream(
        self,
        stream: BinaryIO,
        *,
        name: str,
        carry_state: bool = False,
        say: Callable[[str], None] = _ignore,
        encoding: str = "utf-8",
        errors: str = "strict",
        precision: str = "auto",
        threads: int | str = "auto",
        device: str = "auto",
        kernel: str = "auto",
    ) -> Iterator["ScoredLine"]:
        """The lines of a byte stream with their bits, in order, as they come."""
        from charlm.evaluation.device import put_to_work
        from charlm.evaluation.scoring import LineScorer

        model = put_to_work(self.language_model, precision, threads, device, kernel)
        scorer = LineScorer(model, self.tokenizer, carry_state, self.config.model.direction)
        batches = line_batches(
            stream,
            _LINES,
            _LINE_CHARACTERS,
            name=name,
            encoding=encoding,
            errors=errors,
            say=say,
        )
        for batch in batches:
            yield from scorer.score(batch)

    def look(
        self,
        text: str,
        settings: LookSettings | None = None,
        *,
        units: Sequence[tuple[int, int]] = (),
        follow: Sequence[str] = (),
        say: Callable[[str], None] = _ignore,
    ) -> "Look":
        """What it knows of a text, piece by piece, as `charlm look`.

        units: (layer, number), counted from 1. UsageError, DataError: nothing to look at.
        """
        from charlm.evaluation.device import put_to_work
        from charlm.evaluation.looking import look

        model = put_to_work(self.language_model, device="cpu")
        chosen, direction = settings or LookSettings(), self.config.model.direction
        return look(model, self.tokenizer, text, chosen, units, follow, direction, say)

    def embed(self, texts: Sequence[str], pooling: str | None = None, **how: Any) -> "np.ndarray":
        """Vectors (N, F): the last output of each text, their mean, largest, or (concat, the
        default) all three. `how`: precision, threads, device, kernel."""
        from charlm.evaluation.device import put_to_work
        from charlm.evaluation.reading_texts import texts_to_read, vectors_of

        model = put_to_work(self.language_model, **how)
        ids = texts_to_read(texts, self.tokenizer, [self.config.model.direction])
        return vectors_of([model], pooling or "concat", ids)
