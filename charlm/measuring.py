"""The figures of a text: static, and beside them those of a model that adapts or is tempered, and
of one with counts of n-grams."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from charlm.adaptation import (
    CACHE_STEPS,
    DYNAMIC_STEPS,
    TEMPERATURE,
    Beside,
    CacheSettings,
    CountSettings,
    DynamicSettings,
)
from charlm.errors import UsageError
from charlm.evaluation.figures import Figures
from charlm.evaluation.measure import measure_counted, measure_windows
from charlm.evaluation.measure_adapting import measure_cached, measure_dynamic
from charlm.evaluation.own_counts import OwnCounts
from charlm.evaluation.own_text import part_to_choose_on, training_ids
from charlm.evaluation.tuning import TOKENS, Tuning
from charlm.model.count_mixture import CountMixture
from charlm.model.language_model import LanguageModel
from charlm.runs.export import StoredModel
from charlm.settings import AUTO, BadValue
from charlm.text.part_files import Part
from charlm.text.tokenizers.base import Tokenizer
from charlm.training.precision import set_threads

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What is to be measured: windows instead of the whole text, and what to put beside.

    `temperature`: a number or "auto"; `tune`: choose the settings of dynamic evaluation
    and of the cache.
    UsageError: what cannot go together.
    """

    window: int | None = None
    windows: int | None = None
    seed: int = 1
    temperature: float | str | None = None
    beside: Beside = field(default_factory=Beside)
    tune: bool = False

    def __post_init__(self) -> None:
        goes_on = [each.name for each in fields(Beside) if getattr(self.beside, each.name)]
        if self.window is not None and goes_on:
            raise UsageError(
                f"--{goes_on[0]} goes on from token to token, and --window begins anew with each "
                "window",
                "Give one of them.",
            )
        if self.tune and not (self.beside.dynamic or self.beside.cache):
            raise UsageError(
                "--tune chooses the settings of --dynamic and --cache, and neither is given",
                "Give one of them, or both.",
            )
        try:
            TEMPERATURE.read(self.temperature, float)
        except BadValue as error:
            raise UsageError(f"temperature is {self.temperature}; needed: {error}") from error
        for name, number in (("window", self.window), ("windows", self.windows)):
            if number is not None and number < 1:
                raise UsageError(f"{name} is {number}; needed: a whole number from 1")


class Measurement:
    """Of a text (`part`) under a stored model, which is at work as `model`."""

    def __init__(
        self,
        stored: StoredModel,
        tokenizer: Tokenizer,
        direction: str,
        model: LanguageModel,
        part: Part,
        own_counts: Callable[[CountSettings, Say], OwnCounts],
        say: Say,
    ) -> None:
        self.stored, self.direction, self.part, self.say = stored, direction, part, say
        self.model, self.tokenizer, self._own_counts = model, tokenizer, own_counts
        self._about = model, tokenizer, part.ids, part.documents, part.counts

    def figures(self, wanted: Wanted, one_thread: bool) -> dict[str, Any]:
        """The keys of `charlm evaluate --json`; one_thread: for what reads as one stream."""
        ways = wanted.beside
        counted: list[CountMixture] = []
        if ways.counts:
            own_counts = self._own_counts(ways.counts, self.say)
            counted = own_counts.mixtures(self.model, self.part.ids, self.say)
        found = self._static(wanted, 1.0, counted)
        if wanted.temperature is not None:
            temperature = wanted.temperature
            if temperature == AUTO:
                temperature = self._tuning().temperature()
                self._tell({"temperature": temperature})
            beside = self._static(wanted, float(temperature), counted)
            found["temperature"] = beside | {"settings": {"temperature": float(temperature)}}
        # One stream's products are small: a second thread that has to wait costs more.
        with set_threads(1 if one_thread else None):
            if ways.dynamic:
                found["dynamic"] = self._dynamic(ways.dynamic, wanted.tune, counted)
            if ways.cache:
                found["cache"] = self._cached(ways.cache, wanted.tune, counted)
        return found

    def _static(
        self, wanted: Wanted, temperature: float, counted: Sequence[CountMixture]
    ) -> dict[str, Any]:
        if wanted.window is None:
            return self._with_counts(measure_counted(*self._about, counted, temperature))
        how = wanted.window, wanted.windows, wanted.seed, self.direction
        return measure_windows(*self._about, *how, temperature=temperature).as_dict()

    def _dynamic(
        self, settings: DynamicSettings, tune: bool, counted: Sequence[CountMixture]
    ) -> dict[str, Any]:
        if tune:
            settings = self._tuning().dynamic(settings)
        chosen = self._told(settings, DYNAMIC_STEPS) if tune else {}
        usual = training_ids(self.stored, self.direction)
        found = measure_dynamic(*self._about, settings, usual, self.say, counted)
        return self._with_counts(found) | chosen

    def _cached(
        self, settings: CacheSettings, tune: bool, counted: Sequence[CountMixture]
    ) -> dict[str, Any]:
        if tune:
            settings = self._tuning().cache(settings)
        chosen = self._told(settings, CACHE_STEPS) if tune else {}
        return self._with_counts(measure_cached(*self._about, settings, self.say, counted)) | chosen

    def _with_counts(self, found: Sequence[Figures]) -> dict[str, Any]:
        """Of a model, and of the mixture of it with counts where there is one."""
        alone, *mixed = map(self._keys, found)
        return alone | ({"counts": mixed[0]} if mixed else {})

    def _keys(self, found: Figures) -> dict[str, Any]:
        return replace(found, source_bits=self.part.source_bits).as_dict()

    def _tuning(self) -> Tuning:
        """DataError: there is no text to choose on."""
        measured = self.part.ids
        name, ids, documents = part_to_choose_on(self.stored, self.direction, measured, TOKENS)
        usual = training_ids(self.stored, self.direction)
        tuning = Tuning(self.model, self.tokenizer, ids, documents, usual)
        self.say(f"Choosing on {len(ids):,} tokens of the run's own {name} text.")
        return tuning

    def _told(
        self, settings: DynamicSettings | CacheSettings, names: Iterable[str]
    ) -> dict[str, Any]:
        chosen = {name: getattr(settings, name) for name in names}
        self._tell(chosen)
        return {"settings": chosen}

    def _tell(self, chosen: Mapping[str, float]) -> None:
        options = (f"--{name.replace('_', '-')} {value:g}" for name, value in chosen.items())
        self.say(f"Chosen: {' '.join(options)}")
