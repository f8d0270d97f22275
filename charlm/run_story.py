"""What a report of a run is made of: its course, its samples, and what its model does with a
passage it was not trained on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from charlm.errors import DataError
from charlm.gradient_settings import GradientSettings
from charlm.loaded import Model
from charlm.looking import LookSettings
from charlm.runs.directory import RunDirectory
from charlm.runs.export import read_model
from charlm.runs.history import History
from charlm.storage.reading import TEXT_LIMIT, read_regular
from charlm.text.direction import BACKWARD, reversal

if TYPE_CHECKING:
    from charlm.evaluation.looking import Look

T = TypeVar("T")

_PASSAGE = 700  # tokens
_SAMPLES = 6


@dataclass(frozen=True)
class RunStory:
    """samples: (step, text) in order. passage: None where the text is gone or was not wanted.
    gradients: as `charlm gradients --json` has a network, None where there is no text for it, or
    no recurrence."""

    history: History
    samples: list[tuple[int, str]]
    passage: "Look | None"
    gradients: Mapping[str, Any] | None


def story_of(path: str | Path, with_text: bool, say: Callable[[str], None]) -> RunStory:
    """That of the run at `path`; RunError where there is none. A classifier writes nothing."""
    history = History.of(path)
    if "classifier" in history.config:
        return RunStory(history, [], None, None)
    samples = _samples(RunDirectory.open(path)) if with_text else []
    model = Model(read_model(path))
    passage = _unless_missing("passage", lambda: _passage(model, say), say) if with_text else None
    gradients = None
    if model.language_model.layers.cell.recurrent:
        gradients = _unless_missing("gradients", lambda: _gradients(model), say)
    return RunStory(history, samples, passage, gradients)


def _unless_missing(what: str, find: Callable[[], T], say: Callable[[str], None]) -> T | None:
    """What `find` gives, or a word about it where there is no text for it."""
    try:
        return find()
    except DataError as error:
        say(f"The report has no {what}: {error.what}.")
        return None


def _samples(run: RunDirectory) -> list[tuple[int, str]]:
    """The first, the last and some between."""
    steps = sorted(int(path.stem) for path in run.samples.glob("*.txt") if path.stem.isdecimal())
    kept = {round(n * (len(steps) - 1) / (_SAMPLES - 1)) for n in range(_SAMPLES)} if steps else ()
    return [
        (
            steps[place],
            read_regular(run.samples / f"{steps[place]}.txt", limit=TEXT_LIMIT).decode(
                "utf-8", "replace"
            ),
        )
        for place in sorted(kept)
    ]


def _passage(model: Model, say: Callable[[str], None]) -> "Look":
    """The beginning of what was held out, as the model sees it."""
    from charlm.evaluation.own_text import held_out_part

    direction = model.config.model.direction
    part = held_out_part(model.stored, direction, say)
    end = int(part.documents[1]) if len(part.documents) > 1 else len(part.ids)
    ids = part.ids[: min(end, _PASSAGE)]
    if direction == BACKWARD:
        ids = ids[reversal(ids, model.tokenizer.grammar)]
    return model.look(model.tokenizer.decode(ids), LookSettings(length=_PASSAGE))


def _gradients(model: Model) -> Mapping[str, Any]:
    from charlm.evaluation.own_text import held_out_part
    from charlm.gradient_study import of_run
    from charlm.text.corpus import Reading

    tokens = len(held_out_part(model.stored, model.config.model.direction, lambda _: None).ids)
    settings = GradientSettings(steps=max(2, min(100, tokens // 2)), streams=8)
    return of_run(model, None, settings, Reading())
