"""Which words go together in text without labels: counted when a classifier's run begins, and kept.

latent_semantics/terms.txt             the words, one a line, sorted
latent_semantics/numbers.safetensors   idf and directions (`evaluation/latent_semantics.py`)
latent_semantics/sha256.txt            of the text that was named, as it was decoded
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from charlm.classifier_settings import ClassifierConfig
from charlm.classifying.kept_words import NUMBERS, TERMS, term_lines, terms_from
from charlm.evaluation.latent_semantics import LatentSemantics, analyse
from charlm.evaluation.own_text import own_text
from charlm.loaded import Model
from charlm.runs.directory import RunDirectory
from charlm.runs.tensors import check_tensors, decode, encode
from charlm.settings import AUTO
from charlm.storage.reading import damaged
from charlm.text.corpus import Reading, corpus_fingerprint, fingerprint, open_corpus
from charlm.text.decoding import Say
from charlm.text.passages import passages, stretches

SHA256: Final = "sha256.txt"
MOST_CHARACTERS: Final = 10_000_000  # of a text that are looked at
_LARGEST: Final = 1e9  # of any number that is believed


def count_unlabelled(
    run: RunDirectory,
    config: ClassifierConfig,
    labelled: Sequence[str],
    n_classes: int,
    source: Model | None,
    say: Say,
    check: Callable[[], None],
) -> None:
    """Count in the text that is named and, by `auto`, in what `source` was trained on; and in the
    labelled texts, without their labels. What is found is kept in the run.

    check: called now and then, may interrupt. DataError: the text is missing, or not valid in its
    encoding.
    """
    path, own = named_text(config), None
    if source is not None and config.classifier.unlabelled_text == AUTO:
        direction = source.config.model.direction
        own = own_text(source.stored, source.tokenizer, direction, "train", MOST_CHARACTERS)
    if not config.classifier.baseline or (path is None and own is None):
        return
    found, text = list[str](), ""
    if path is not None:
        with open_corpus({"train": [path]}, _reading(config, say), run.path) as corpus:
            text = fingerprint(corpus.documents)
            characters = corpus.characters("train")
            if characters > MOST_CHARACTERS:
                say(
                    f"Of the {characters:,} characters of {path} {MOST_CHARACTERS:,} are looked "
                    "at, in stretches all over it."
                )
            for begin, end in stretches(characters, MOST_CHARACTERS):
                for blocks in corpus.texts("train", begin, end):
                    found += passages(_checked(blocks, check))
    if own is not None:
        found += passages(_checked(own, check))
    files = {SHA256: f"{text}\n".encode()}
    semantics = analyse([*labelled, *found], n_classes, config.optimisation.seed)
    if semantics is None:
        say("Text without labels tells nothing of words: hardly one of them is in three passages.")
    else:
        count = len(semantics.terms)
        say(f"{count:,} words were counted in {len(found):,} passages without labels.")
        files |= _files_of(semantics)
    run.write_semantics(files)


def named_text(config: ClassifierConfig) -> str | None:
    """The text without labels that is asked for by its name, if one is."""
    c = config.classifier
    return c.lm_text if c.unlabelled_text == AUTO else c.unlabelled_text


def _checked(blocks: Iterable[str], check: Callable[[], None]) -> Iterator[str]:
    for block in blocks:
        check()
        yield block


def _reading(config: ClassifierConfig, say: Say) -> Reading:
    return Reading(encoding=config.corpus.encoding, errors=config.corpus.errors, say=say)


def kept_semantics(run: RunDirectory) -> LatentSemantics | None:
    """What was counted; None where nothing was. RunError naming a file that is not as it was."""
    files = run.read_semantics()
    return semantics_from(files, run.semantics) if files else None


def counted_text_differs(run: RunDirectory, config: ClassifierConfig) -> bool:
    """Whether the text that is named is another one than when the run began."""
    path, files = named_text(config), run.read_semantics()
    if path is None or not files:
        return False
    c = config.corpus
    now = corpus_fingerprint([path], encoding=c.encoding, errors=c.errors)
    return files.get(SHA256) != f"{now}\n".encode()


def _files_of(semantics: LatentSemantics) -> dict[str, bytes]:
    numbers: dict[str, np.ndarray] = {"idf": semantics.idf, "directions": semantics.directions}
    return {TERMS: term_lines(semantics.terms), NUMBERS: encode(numbers)}


def semantics_from(files: Mapping[str, bytes], where: Path) -> LatentSemantics | None:
    """What the files of a run tell; None where nothing was to be told. RunError naming the one in
    `where` that is not as it was."""
    if files.keys() == {SHA256}:
        return None
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
