"""The tracks that speedrun.py runs on: a text cut in one fixed way, and so many minutes.

Public texts come from a folder (--data) where they are as scripts/get_corpus.py makes them, or as
they are distributed:

    tiny-shakespeare/{train,valid}.txt, or tinyshakespeare/input.txt
    wikitext-2/{train,valid,test}.txt
    mtsamples/mtsamples_lm_train.txt         reports of mtsamples.com, a blank line between two

Of a text that comes whole, the last tenth is for validation.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from public_corpora.known import CORPORA
from public_corpora.running import nine_tenths

from charlm.errors import DataError, UsageError

NOTES = Path(__file__).resolve().parents[2] / "corpora" / "clinical_notes"
_SHAKESPEARE, _WIKITEXT = CORPORA["tiny-shakespeare"], CORPORA["wikitext-2"]


@dataclass(frozen=True)
class Text:
    """Where a text may lie under --data, as a whole or in parts, and what it is known by.

    `sha256` is that of the files in `checked` (all, where none is named), one after the other.
    """

    places: tuple[tuple[str, ...], ...]
    sha256: str
    checked: tuple[str, ...] = ()
    use: str = ""  # options of `charlm train`


TEXTS = {
    "tiny-shakespeare": Text(
        (
            ("tiny-shakespeare/train.txt", "tiny-shakespeare/valid.txt"),
            ("tinyshakespeare/input.txt",),
        ),
        _SHAKESPEARE.sources[0].sha256 or "",
    ),
    # Its training part is about in more than one order of the articles.
    "wikitext-2": Text(
        (("wikitext-2/train.txt", "wikitext-2/valid.txt", "wikitext-2/test.txt"),),
        "ee8e179331812a9025fac9f2602faeb12e773d051d55ee6e50ce15da3bc784c1",
        ("wikitext-2/valid.txt", "wikitext-2/test.txt"),
        _WIKITEXT.use,
    ),
    "mtsamples": Text(
        (("mtsamples/mtsamples_lm_train.txt",),),
        "f59e82f65703871dccd0a7ebf609fc82d50f03908f8e1838d88192da8c1198d7",
    ),
}


@dataclass(frozen=True)
class Track:
    """`minutes` from the start of the command to the final save, on a text of `TEXTS`, or on the
    notes that come with charlm (None)."""

    text: str | None
    minutes: float


TRACKS = {
    "shakespeare-3": Track("tiny-shakespeare", 3),
    "shakespeare-20": Track("tiny-shakespeare", 20),
    "wikitext-2-60": Track("wikitext-2", 60),
    "mtsamples-20": Track("mtsamples", 20),
    "notes-1": Track(None, 1),
    "notes-20": Track(None, 20),
}


@dataclass(frozen=True)
class Course:
    """What is trained on (arguments of `charlm train`), and the texts that are measured."""

    training: list[str]
    measured: dict[str, Path]


def prepare(track: Track, data: Path | None, folder: Path) -> Course:
    """The text of a track, cut in `folder` where it comes whole.

    UsageError: no --data; DataError: the text is not there, or is another one.
    """
    if track.text is None:
        return Course([], {"valid": NOTES / "valid.txt"})
    text = TEXTS[track.text]
    hint = f"`python scripts/get_corpus.py {track.text}` makes it in data/."
    if track.text not in CORPORA:
        hint = f"Put it there: {text.places[0][0]}."
    if data is None:
        raise UsageError(f"{track.text} does not come with charlm: --data is missing", hint)
    found = [names for names in text.places if all((data / name).is_file() for name in names)]
    if not found:
        raise DataError(f"{data} does not hold {' '.join(text.places[0])}", hint)
    _check(data, text, found[0])
    paths = [data / name for name in found[0]]
    if len(paths) == 1:
        folder.mkdir(parents=True, exist_ok=True)
        nine_tenths(paths, folder)
        paths = [folder / "train.txt", folder / "valid.txt"]
    parts = {path.stem: path for path in paths}
    training = [str(parts.pop("train"))]
    for part, path in parts.items():
        training += [f"--{part}", str(path)]
    return Course(training + text.use.split(), parts)


def _check(data: Path, text: Text, names: tuple[str, ...]) -> None:
    whole = hashlib.sha256()
    for name in text.checked or names:
        whole.update((data / name).read_bytes())
    if whole.hexdigest() != text.sha256:
        raise DataError(
            f"{' '.join(text.checked or names)} in {data} is another text: its SHA-256 is "
            f"{whole.hexdigest()}, and {text.sha256} is expected",
            "Fetch it again.",
        )
