"""Correcting the spelling of a text with a trained run, or with two that read both ways."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from charlm.correcting import CorrectionSettings
from charlm.errors import DataError, UsageError
from charlm.loaded import Model
from charlm.settings import AUTO
from charlm.text.corpus import Reading, blocks_of
from charlm.text.lines import line_batches, lines_of
from charlm.text.sources import expand
from charlm.text.word_list import WordList

if TYPE_CHECKING:
    from charlm.evaluation.spelling import CorrectedLine, Corrector

Say = Callable[[str], None]
_LINES, _LINE_CHARACTERS = 64, 1 << 14  # corrected at once


def corrector(
    models: Sequence[Model],
    settings: CorrectionSettings,
    words: str | Path | None = None,
    held_out: str | Path | None = None,
    reading: Reading | None = None,
) -> "Corrector":
    """What corrects by these runs, with its words counted and its threshold chosen.

    words: a text whose words are right (default: what the first run was trained on); held_out:
    one that is right and was not trained on (its valid part); both are read as `reading` says.
    UsageError: two runs that read the same way. DataError: the run's own text is not there.
    """
    from charlm.evaluation.device import put_to_work
    from charlm.evaluation.scoring import LineScorer
    from charlm.evaluation.spelling import Corrector

    directions = [model.config.model.direction for model in models]
    if len(set(directions)) < len(directions):
        raise UsageError(
            f"both runs read {directions[0]}", "Train the second one with another --direction."
        )
    scorers = [
        LineScorer(put_to_work(model.language_model), model.tokenizer, False, direction)
        for model, direction in zip(models, directions, strict=True)
    ]
    reading = reading or Reading()
    lines = _text(models[0], words, "train", "--words", reading)
    known = WordList.of("".join(group) for group in _groups(lines))
    if not len(known):
        raise DataError("there is no word to hold the spelling against", "Give --words TEXT.")
    threshold = 0.0 if settings.threshold == AUTO else settings.threshold
    found = Corrector(scorers, known, settings.most, threshold)
    about = f"{len(known):,} words"
    if settings.threshold == AUTO:
        lines = _text(models[0], held_out, "valid", "--held-out", reading)
        read, unknown = found.calibrate(_groups(lines), settings.false_alarms)
        about += f", {unknown:,} others among {read:,} of a right text"
    reading.say(f"{about}; corrections must gain {found.threshold:.2f} nats (--threshold)")
    return found


def corrected(
    by: "Corrector",
    stream: BinaryIO,
    *,
    name: str,
    encoding: str = "utf-8",
    errors: str = "strict",
    say: Say = lambda message: None,
) -> Iterator["CorrectedLine"]:
    """The lines of a byte stream corrected, in order, as they come."""
    for batch in line_batches(
        stream, _LINES, _LINE_CHARACTERS, name=name, encoding=encoding, errors=errors, say=say
    ):
        yield from by.lines(batch)


def _text(
    model: Model, given: str | Path | None, part: str, option: str, reading: Reading
) -> Iterator[str]:
    """The lines of the text that was given, or of a part of the run's own."""
    if given is not None:
        return (line for one in expand([given]) for line in lines_of(blocks_of(one, reading)))
    from charlm.evaluation.own_text import own_text

    found = own_text(model.stored, model.tokenizer, model.config.model.direction, part)
    if found is None:
        raise DataError(
            f"{model.stored.path} has no text of its own ({part}) to take words from",
            f"Give {option} TEXT" + (", or --threshold X." if part == "valid" else "."),
        )
    # Of a backward run the last block comes first: no line goes over its end.
    return (line for block in found for line in lines_of([block]))


def _groups(lines: Iterator[str]) -> Iterator[list[str]]:
    """Some lines at a time."""
    while group := list(islice(lines, _LINES)):
        yield group
