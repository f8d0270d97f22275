"""Which words go together in text without labels: counted when a classifier's run begins, and kept.

latent_semantics/terms.txt             the words, one a line, sorted
latent_semantics/numbers.safetensors   idf and directions (`evaluation/latent_semantics.py`)
latent_semantics/sha256.txt            of the text and of how it was decoded
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from charlm.classifier_settings import ClassifierConfig
from charlm.classifying.kept_words import NUMBERS, TERMS, term_lines, terms_from
from charlm.evaluation.latent_semantics import LatentSemantics, analyse
from charlm.runs.directory import RunDirectory
from charlm.runs.tensors import check_tensors, decode, encode
from charlm.storage.reading import damaged
from charlm.text.corpus import Corpus, Reading, corpus_fingerprint, fingerprint, open_corpus
from charlm.text.passages import passages

SHA256: Final = "sha256.txt"
MOST_CHARACTERS: Final = 30_000_000  # that are looked at
_LARGEST: Final = 1e9  # of any number that is believed


def text_to_count(config: ClassifierConfig) -> str | None:
    """Where it is: the text of --word-text, or that of --lm-text. None: nothing is counted."""
    c = config.classifier
    return (c.word_text or c.lm_text) if c.baseline else None


def count_unlabelled(
    run: RunDirectory,
    config: ClassifierConfig,
    labelled: Sequence[str],
    n_classes: int,
    say: Callable[[str], None],
) -> None:
    """Count in that text, and in labelled ones without their labels, and keep it in the run.

    DataError: the text is missing, or not valid in its encoding.
    """
    path = text_to_count(config)
    if path is None:
        return
    with open_corpus({"train": [path]}, _reading(config), run.path) as corpus:
        found = list(passages(_documents(corpus)))
        if corpus.characters("train") > MOST_CHARACTERS:
            say(f"Words are counted in the first {MOST_CHARACTERS:,} characters of {path}.")
        text = fingerprint(corpus.documents)
    semantics = analyse([*labelled, *found], n_classes, config.optimisation.seed)
    if semantics is None:
        say(f"{path} tells nothing of words: hardly one of them is in three passages.")
        return
    say(f"{len(semantics.terms):,} words were counted in {len(found):,} passages of {path}.")
    run.write_semantics(_files_of(semantics, text))


def _documents(corpus: Corpus) -> Iterator[str]:
    for blocks in corpus.texts("train", 0, MOST_CHARACTERS):
        yield "".join(blocks)


def _reading(config: ClassifierConfig) -> Reading:
    return Reading(encoding=config.corpus.encoding, errors=config.corpus.errors)


def kept_semantics(run: RunDirectory) -> LatentSemantics | None:
    """What was counted; None where nothing was. RunError naming a file that is not as it was."""
    files = run.read_semantics()
    return semantics_from(files, run.semantics) if files else None


def counted_text_differs(run: RunDirectory, config: ClassifierConfig) -> bool:
    """Whether the text is another one than when the run began."""
    path, files = text_to_count(config), run.read_semantics()
    if path is None or not files:
        return False
    reading = _reading(config)
    now = corpus_fingerprint([path], encoding=reading.encoding, errors=reading.errors)
    return files.get(SHA256) != _line(now)


def _line(text: str) -> bytes:
    return f"{text}\n".encode()


def _files_of(semantics: LatentSemantics, text: str) -> dict[str, bytes]:
    numbers: dict[str, np.ndarray] = {"idf": semantics.idf, "directions": semantics.directions}
    return {TERMS: term_lines(semantics.terms), NUMBERS: encode(numbers), SHA256: _line(text)}


def semantics_from(files: dict[str, bytes], where: Path) -> LatentSemantics:
    """What the files of a run tell. RunError naming the one in `where` that is not as it was."""
    for name in sorted({TERMS, NUMBERS, SHA256} ^ files.keys()):
        raise damaged(where / name, "is missing" if name not in files else "does not belong there")
    terms, path = terms_from(files[TERMS], where / TERMS), where / NUMBERS
    found = decode(files[NUMBERS], path)
    columns = found["directions"].shape[-1:] if "directions" in found else (0,)
    f64, f32 = np.dtype(np.float64), np.dtype(np.float32)
    expected: dict[str, tuple[tuple[int, ...], np.dtype]] = {
        "idf": ((len(terms),), f64),
        "directions": ((len(terms), *columns), f32),
    }
    hint = f"It does not belong to the {TERMS} beside it; copy the run again."
    check_tensors(found, expected, path, hint)
    if any((np.abs(found[name]) > _LARGEST).any() for name in found):
        raise damaged(path, f"a tensor has a number beyond {_LARGEST:g}")
    return LatentSemantics(terms, found["idf"], found["directions"])
