"""A trained model, ready to write, measure and score. Writing by it alone imports no torch."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from charlm.adaptation import Beside, CacheSettings, CountSettings, DynamicSettings
from charlm.adapted_writing import adapted_pieces
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

    from charlm.evaluation.looking import Look
    from charlm.evaluation.own_counts import OwnCounts
    from charlm.evaluation.scoring import LineScorer, ScoredLine
    from charlm.model.language_model import LanguageModel

_LINES, _LINE_CHARACTERS = 2048, 1 << 17  # scored at once


def _ignore(message: str) -> None:
    """Nobody is told."""


class Model(StoredNetwork):
    """A trained model: writes, measures, scores."""

    def __init__(self, stored: StoredModel) -> None:
        super().__init__(stored)
        self._decoders: dict[str, StepDecoder] = {}
        self._own_counts: OwnCounts | None = None

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
        *,
        dynamic: bool | DynamicSettings = False,
        cache: bool | CacheSettings = False,
        counts: bool | CountSettings = False,
    ) -> Iterator[Piece]:
        """Every sample of a prompt, or of several, in order, piece by piece as it is written.

        A beam's texts and those of a backward model come whole. `dynamic`: by a model that has
        first learned from the prompt; `cache`: with a neural cache of the prompt and of what has
        been written; `counts`: with counts of the run's own training text mixed in; True or with
        settings of `charlm.adaptation`.
        """
        settings = settings or GenerationSettings()
        prompts = [prompts] if isinstance(prompts, str) else prompts
        if beside := Beside.chosen(dynamic, cache, counts):
            yield from adapted_pieces(self, prompts, settings, beside, say)
            return
        decoder = self.decoder(settings.precision, say)
        direction = self.config.model.direction
        yield from generate_many(decoder, self.tokenizer, prompts, settings, direction)

    def stream(self, prompt: str = "", **options: Any) -> Iterator[str]:
        """One sample's text as it is written; options as of `generate`."""
        if "num_samples" in options:
            raise UsageError(
                "num_samples is given, but one text is wanted", "Give each a seed, or use pieces."
            )
        ways = {
            name: options.pop(name) for name in ("dynamic", "cache", "counts") if name in options
        }
        for piece in self.pieces(prompt, settings_of(options), **ways):
            yield piece.text

    def generate(self, prompt: str = "", **options: Any) -> str:
        """One sample's text, without the prompt; with `beam`, the best text found.

        Options: length, length_unit, stop, seed, temperature, top_k, top_p, min_p, typical_p,
        repetition_penalty, greedy, beam, precision; dynamic, cache, counts as of `pieces`.
        """
        return "".join(self.stream(prompt, **options))

    def evaluate(
        self,
        texts: Sequence[str | Path] = (),
        *,
        window: int | None = None,
        windows: int | None = None,
        temperature: float | str | None = None,
        dynamic: bool | DynamicSettings = False,
        cache: bool | CacheSettings = False,
        counts: bool | CountSettings = False,
        tune: bool = False,
        seed: int = 1,
        encoding: str = "utf-8",
        errors: str = "strict",
        stdin: BinaryIO | None = None,
        say: Callable[[str], None] = _ignore,
        **how: Any,
    ) -> dict[str, Any]:
        """Figures of a text: the keys of `charlm evaluate --json`.

        Without texts, of the run's own test (or valid) part: DataError if its tokens are gone.
        `dynamic`, `cache`, `counts`: figures of dynamic evaluation, with a neural cache and with
        counts of the training text beside them, True or with settings of `charlm.adaptation`;
        `tune` chooses the best ones of the first two on the run's own text, as temperature "auto"
        does for the temperature that the logits are divided by.
        `how`: precision, threads, device, kernel.
        """
        from charlm.evaluation.device import put_to_work
        from charlm.evaluation.own_text import held_out_part
        from charlm.measuring import Measurement, Wanted

        wanted = Wanted(
            window,
            windows,
            seed,
            temperature,
            Beside.chosen(dynamic, cache, counts),
            tune,
        )
        model = put_to_work(self.language_model, **how)
        direction = self.config.model.direction
        with tempfile.TemporaryDirectory(prefix="charlm-") as folder:
            if texts:
                part = prepare_whole(
                    [texts] if isinstance(texts, str | Path) else list(texts),
                    self.tokenizer,
                    Path(folder),
                    direction=direction,
                    encoding=encoding,
                    errors=errors,
                    stdin=stdin,
                    say=say,
                )
            else:
                part = held_out_part(self.stored, direction, say)
            about = self.stored, self.tokenizer, direction, model, part
            measurement = Measurement(*about, self.own_counts, say)
            return measurement.figures(wanted, how.get("threads", "auto") == "auto")

    def score(
        self,
        lines: Iterable[str],
        *,
        carry_state: bool = False,
        dynamic: bool | DynamicSettings = False,
        cache: bool | CacheSettings = False,
        counts: bool | CountSettings = False,
        say: Callable[[str], None] = _ignore,
        **how: Any,
    ) -> Iterator["ScoredLine"]:
        """Bits of each line, as `charlm score`. A line may hold its line break at the end.

        `dynamic`, `cache`: as of `evaluate`; each line's `beside` holds its bits by a model that
        has learned from the lines before it, so that their order matters. `counts`: `beside` of the
        line, and of each of those, holds them with counts mixed in. `how`: precision, threads,
        device, kernel.
        DataError: an empty line without a line break, which has no token; a lone surrogate.
        """
        scorer = self._scorer(carry_state, Beside.chosen(dynamic, cache, counts), say, **how)
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
        dynamic: bool | DynamicSettings = False,
        cache: bool | CacheSettings = False,
        counts: bool | CountSettings = False,
        say: Callable[[str], None] = _ignore,
        encoding: str = "utf-8",
        errors: str = "strict",
        **how: Any,
    ) -> Iterator["ScoredLine"]:
        """The lines of a byte stream with their bits, in order, as they come; as `score`."""
        scorer = self._scorer(carry_state, Beside.chosen(dynamic, cache, counts), say, **how)
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

    def _scorer(
        self, carry_state: bool, beside: Beside, say: Callable[[str], None], **how: Any
    ) -> "LineScorer":
        from charlm.evaluation.adapting import adapting_copies
        from charlm.evaluation.device import put_to_work
        from charlm.evaluation.own_text import training_ids
        from charlm.evaluation.scoring import LineScorer

        direction = self.config.model.direction
        if beside.dynamic or beside.cache:
            # One stream's products are small: a second thread that has to wait costs more.
            how["threads"] = 1 if how.get("threads", "auto") == "auto" else how["threads"]
            say("Each line is scored by what those before it have taught: their order matters.")
        model = put_to_work(self.language_model, **how)
        adapting = adapting_copies(
            model,
            self.tokenizer,
            beside,
            training_ids(self.stored, direction) if beside.dynamic else None,
            say,
        )
        mixture = self.own_counts(beside.counts, say).mixture(model, say) if beside.counts else None
        return LineScorer(model, self.tokenizer, carry_state, direction, adapting, mixture)

    def own_counts(self, settings: CountSettings, say: Callable[[str], None]) -> "OwnCounts":
        """Those of the training text, kept until others are wanted; DataError: it is not there."""
        if self._own_counts is None or self._own_counts.settings != settings:
            from charlm.evaluation.own_counts import OwnCounts

            about = self.stored, self.tokenizer, self.config.model.direction, settings
            self._own_counts = OwnCounts(*about, say)
        return self._own_counts

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
