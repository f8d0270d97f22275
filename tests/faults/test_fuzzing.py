"""Whatever bytes come, each reader of foreign bytes reads them or refuses them in its own words.

A few inputs each in `make test`, 100,000 in `make faults`. What was found is kept in FOUND.
"""

import base64
import gc
import json
import resource
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import charlm
from charlm import api
from charlm.classifier_settings import ClassifierConfig
from charlm.classifying import kept_words, labelled_cache
from charlm.classifying.loaded import network_of
from charlm.classifying.unlabelled import count_unlabelled, semantics_from
from charlm.errors import DataError, RunError, UsageError
from charlm.evaluation.tfidf_baseline import fit_words
from charlm.evaluation.together import Together
from charlm.precedence import build, read_toml
from charlm.runs import manifest
from charlm.runs.checkpoint import load
from charlm.runs.directory import RunDirectory
from charlm.runs.export import read_model
from charlm.runs.metrics import read_metrics
from charlm.runs.tensors import decode, encode
from charlm.storage.reading import parse_json, parse_toml
from charlm.text import stored as stored_json
from charlm.text.labelled import LabelledRow, read_labelled
from charlm.text.labelled_splits import Division
from charlm.text.lines import line_batches
from charlm.text.token_cache import TokenCache, prepare_whole
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer, load_tokenizer
from faults.mutations import as_json, near, near_tree

SECONDS, MEBIBYTES = 1.0, 300  # of any one input


class Reader(NamedTuple):
    """What reads foreign bytes, from what inputs, and how it may refuse them."""

    read: Callable[[Any], object]
    inputs: st.SearchStrategy[Any]
    refuses: type[Exception] | tuple[type[Exception], ...]


def write(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw)
    return path


def tokenizer_of(kind: str) -> Any:
    text = ["the patient came to ward four\nand slept well, after tea at noon 😀\n" * 30]
    size = {"vocab_size": 290} if kind in ("unigram", "bpe") else {}
    return fit_tokenizer(TokenizerSettings(kind=kind, **size), text, lambda message: None)


def sealed(tree: Any) -> bytes:
    """A manifest with a right hash of its own, whoever wrote it."""
    content = {key: value for key, value in tree.items() if key != "sha256"}
    return manifest._canonical(content | {"sha256": manifest.sha256(manifest._canonical(content))})


def sealed_export(raw: bytes, metadata: dict[str, Any]) -> bytes:
    """An exported file with other metadata and a right hash."""
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    known = header["__metadata__"] | {"sha256": "0" * 64}
    header["__metadata__"] = known | {key: json.dumps(value) for key, value in metadata.items()}
    text = json.dumps(header, separators=(",", ":")).encode()
    raw = len(text).to_bytes(8, "little") + text + raw[8 + length :]
    return raw.replace(b"0" * 64, manifest.sha256(raw).encode(), 1)


@pytest.fixture(scope="module")
def readers(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    folder = tmp_path_factory.mktemp("fuzzing")
    checkpoint = (tiny_run / "checkpoints/last").resolve()
    manifest_raw = (checkpoint / "manifest.json").read_bytes()
    config = (tiny_run / "config.toml").read_bytes()
    metrics = (tiny_run / "metrics.jsonl").read_bytes()
    weights = (checkpoint / "weights.safetensors").read_bytes()
    small = encode({"a": load(tiny_run).groups["weights"]["layers.0.bias_ih"]})
    cache = (tiny_run / "cache/manifest.json").read_bytes()
    file = folder / "model.charlm"
    api.export(tiny_run, file)
    exported = file.read_bytes()
    model = charlm.load(tiny_run)
    length = int.from_bytes(exported[:8], "little")
    metadata = json.loads(exported[8 : 8 + length])["__metadata__"]
    stored = {name: json.loads(metadata[name]) for name in ("config", "tokenizer")}
    described = json.loads(base64.b64decode(stored["tokenizer"]["tokenizer.json"]))

    def read_manifest(raw: bytes) -> None:
        write(folder / "manifest.json", raw)
        manifest.read_files(folder, manifest.read_manifest(folder, "checkpoint"))

    def read_cache(raw: bytes) -> None:
        place = folder / "cache"
        if not place.exists():
            place.mkdir()
            for path in (tiny_run / "cache").iterdir():
                write(place / path.name, path.read_bytes())
        write(place / "manifest.json", raw)
        TokenCache.open(place).verify()

    def read_labels(raw: bytes) -> None:
        write(labels, raw)
        labelled_cache.open_texts(labels.parent)

    def sealed_json(tree: Any) -> bytes:
        """With a right hash, whatever it is."""
        return as_json(tree | {"sha256": stored_json._hash_of(tree)})

    def read_export(raw: bytes) -> None:
        network_of(read_model(write(file, raw))).check()

    def read_words(name: str) -> Callable[[bytes], None]:
        def read(raw: bytes) -> None:
            found = kept_words.together_from(words | {name: raw}, 2, folder)
            p = found.probabilities(np.array([[1.0, -1.0]]), ["a valve, the knee"])
            assert np.isfinite(p).all() and abs(p.sum() - 1) < 1e-9

        return read

    def read_semantics(name: str) -> Callable[[bytes], None]:
        def read(raw: bytes) -> None:
            found = semantics_from(semantics | {name: raw}, folder)
            assert found is not None and len(found.directions) == len(found.terms)
            fit_words(["the knee", "a valve"] * 2, np.array([0, 1] * 2), 2, "none", 1, None, found)

        return read

    def read_tokenizer(kind: str) -> Callable[[bytes], None]:
        files = tokenizer_of(kind).to_files()

        def read(raw: bytes) -> None:
            load_tokenizer(files | {"tokenizer.json": raw})

        return read

    def tokenizers() -> dict[str, Reader]:
        found = {}
        for kind in charlm.registry.TOKENIZERS:
            good = tokenizer_of(kind).to_files()["tokenizer.json"]
            inputs = near(good) | near_tree(json.loads(good)).map(as_json)
            found[f"tokenizer {kind}"] = Reader(read_tokenizer(kind), inputs, RunError)
        return found

    def text_of(raw: bytes) -> None:
        place = write(folder / "text.txt", raw)
        prepare_whole([place], model.tokenizer, folder / "text", errors="strict")

    def labelled(name: str) -> Callable[[bytes], None]:
        def read(raw: bytes) -> None:
            read_labelled(write(folder / name, raw), say=lambda message: None)

        return read

    def lines_of(raw: bytes) -> None:
        for batch in line_batches(BytesIO(raw), 5, 50, name="x", encoding="utf-8",
                                  errors="strict", say=lambda message: None):  # fmt: skip
            assert all(batch)

    parts = [LabelledRow("the knee", "bone", 2), LabelledRow("a valve", "heart", 3)]
    division = Division([*parts, parts[0]], parts, [], ("bone", "heart"))
    labelled_cache.write_texts(
        division, folder / "labelled", model.tokenizer, False, lambda _: None, lambda _: None
    )
    counted = fit_words(["the knee", "a valve"] * 2, np.array([0, 1] * 2), 2, "none", 1)
    words = kept_words.files_of(Together(counted, (0.6, 0.5)))
    run = RunDirectory.create(folder / "semantics")
    (folder / "more.txt").write_text("the knee and its joint\n\na valve beats\n\n" * 4)
    counting = ClassifierConfig().with_values(
        {"classifier.unlabelled_text": str(folder / "more.txt")}
    )
    count_unlabelled(run, counting, [], 2, None, lambda _: None, lambda: None)
    semantics = run.read_semantics()
    labels = folder / "labelled" / labelled_cache.LABELS
    labels_raw = labels.read_bytes()
    text = "the patient\r\ncame\0 to ward é 😀\n\n".encode()
    rows = 'text,label,n\r\n"a ""b""\nc",x,1\r\né,y,2\n'.encode()
    objects = '{"text": "a\\nb", "label": "x"}\n\n{"label": 3, "text": "é", "n": [1]}\n'.encode()
    refused = (UsageError, RunError)
    return {
        "manifest": Reader(read_manifest, near(manifest_raw), RunError),
        "sealed manifest": Reader(
            read_manifest, near_tree(json.loads(manifest_raw)).map(sealed), RunError
        ),
        "JSON": Reader(lambda raw: parse_json(raw, file), near(manifest_raw, b"{}"), RunError),
        "TOML": Reader(
            lambda raw: parse_toml(raw.decode("utf-8", "replace"), file), near(config), RunError
        ),
        "configuration": Reader(
            lambda raw: build([read_toml(raw.decode("utf-8", "replace"), "x")], resolved=True),
            near(config), refused,
        ),
        "metrics": Reader(lambda raw: read_metrics(write(folder / "m.jsonl", raw)), near(metrics),
                          RunError),
        "tensors": Reader(lambda raw: decode(raw, file), near(weights[:2000], small), RunError),
        "exported model": Reader(read_export, near(exported), RunError),
        "sealed configuration": Reader(
            read_export,
            near_tree(stored["config"]).map(lambda c: sealed_export(exported, {"config": c})),
            RunError,
        ),
        "sealed tokenizer": Reader(
            read_export,
            near_tree(described).map(
                lambda t: sealed_export(
                    exported,
                    {"tokenizer": {"tokenizer.json": base64.b64encode(as_json(t)).decode()}},
                )
            ),
            RunError,
        ),
        "token cache": Reader(
            read_cache, near(cache) | near_tree(json.loads(cache)).map(sealed_json), RunError
        ),
        "labels": Reader(
            read_labels,
            near(labels_raw) | near_tree(json.loads(labels_raw)).map(sealed_json),
            RunError,
        ),
        "words' terms": Reader(
            read_words(kept_words.TERMS), near(words[kept_words.TERMS]), RunError
        ),
        "words' numbers": Reader(
            read_words(kept_words.NUMBERS), near(words[kept_words.NUMBERS]), RunError
        ),
        "words that go together": Reader(
            read_semantics(kept_words.TERMS), near(semantics[kept_words.TERMS]), RunError
        ),
        "their directions": Reader(
            read_semantics(kept_words.NUMBERS), near(semantics[kept_words.NUMBERS]), RunError
        ),
        "text": Reader(text_of, near(text), DataError),
        "lines": Reader(lines_of, near(text), DataError),
        "prompt": Reader(
            lambda prompt: model.generate(prompt, length=1),
            st.text(max_size=30) | st.text(st.characters(codec=None), max_size=8),
            (DataError, UsageError),
        ),
        "CSV": Reader(labelled("t.csv"), near(rows), DataError),
        "TSV": Reader(labelled("t.tsv"), near(rows.replace(b",", b"\t")), DataError),
        "JSONL": Reader(labelled("t.jsonl"), near(objects), DataError),
        **tokenizers(),
    }  # fmt: skip


NAMES = [
    "manifest", "sealed manifest", "JSON", "TOML", "configuration", "metrics", "tensors",
    "exported model", "sealed configuration", "sealed tokenizer", "token cache", "labels",
    "words' terms", "words' numbers", "words that go together", "their directions", "text", "lines",
    "prompt", "CSV", "TSV", "JSONL", *(f"tokenizer {kind}" for kind in charlm.registry.TOKENIZERS),
]  # fmt: skip

# Inputs that once made a reader fail otherwise.
FOUND: dict[str, list[Any]] = {
    "configuration": [b"a = " + b"[" * 100_000],  # nested deeper than the parser's own stack
    # Text that UTF-8 cannot hold, in a value and in a key.
    "labels": [
        rb'{"classes": ["a", "\ud800b"], "labels": {}, "rows": {}, "sha256": "", "format": 1}',
        rb'{"classes": [], "labels": {"\ud800": []}, "rows": {}, "sha256": "", "format": 1}',
    ],
}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_read_or_refused(name, readers, record_property, long_run):
    assert readers.keys() == set(NAMES)
    reader, tried = readers[name], 0

    def check(raw: Any) -> None:
        nonlocal tried
        tried += 1
        gc.disable()  # it would look through all that Hypothesis remembers: seconds, late in a run
        before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        try:
            reader.read(raw)
        except reader.refuses as error:
            assert error.exit_code in (2, 3, 4) and str(error)
        finally:
            seconds = time.process_time() - begin
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            gc.enable()
        assert seconds < SECONDS
        assert grown < MEBIBYTES, f"{grown} MiB more"

    for raw in FOUND.get(name, ()):
        check(raw)
    settings(
        max_examples=100_000 if long_run else 40,
        deadline=None,
        database=None,
        derandomize=not long_run,
        suppress_health_check=list(HealthCheck),
    )(given(reader.inputs)(check))()
    record_property("tries", tried)
