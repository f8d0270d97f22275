"""charlm embed: a text in, a vector out, for other tools."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm import registry
from charlm.cli.labelled_options import TABLE
from charlm.cli.single_texts import FILE, open_texts
from charlm.cli.verbs import Context, SharedSettings, checked, parameter, setting_option
from charlm.errors import UsageError
from charlm.settings import Setting
from charlm.storage.places import require_file_place

_POOLING = Setting(
    "what is made of a text's outputs; auto: as the classifier, or concat",
    choices=tuple(registry.POOLINGS), auto=True,
)  # fmt: skip
_SHARED = SharedSettings("corpus.encoding", "corpus.errors")
_RUNNING = SharedSettings(
    "optimisation.precision",
    "optimisation.threads",
    "optimisation.device",
    "optimisation.kernel",
)

PARAMETERS = [
    parameter("run", Path, typer.Argument(metavar="RUN", help="any run or exported file"), ...),
    FILE,
    parameter(
        "out",
        Path | None,
        typer.Option("--out", "-o", metavar="FILE.npy", help="an array (N, F) for NumPy"),
    ),
    setting_option("pooling", str, _POOLING, "auto"),
    *TABLE,
    *_SHARED.options,
    *_RUNNING.options,
]


def embed(context: Context, values: Mapping[str, Any]) -> None:
    """A vector for each text: numbers and tabs, a line a text, or an array in a file.

    Example: charlm embed runs/notes notes.txt --out notes.npy
    """
    pooling = checked("--pooling", values["pooling"], str, _POOLING, "auto")
    reading, running = _SHARED.read(values), _RUNNING.read(values)
    out = values["out"]
    if out is not None and out.suffix != ".npy":
        raise UsageError(f"--out {out} is no .npy file", "Name it FILE.npy, or leave it out.")
    if out is not None:
        require_file_place(out)
    batches = open_texts(context, values, reading)

    from charlm import api

    model = api.load(values["run"])
    running = model.settled(running)  # once, and not for every batch
    kept: list[Any] = []
    count = 0
    say = context.messages.say
    for batch in batches:
        texts = [row.text for row in batch]
        vectors = model.embed(texts, None if pooling == "auto" else pooling, **running)
        count += len(vectors)
        if out is not None:
            kept.append(vectors)
            continue
        for text, vector in zip(texts, vectors.tolist(), strict=True):
            if context.as_json:
                context.output.json({"text": text, "vector": vector})
            else:
                context.output.line("\t".join(f"{value:.8g}" for value in vector))
    if out is not None:
        _write(out, kept)
        say(f"{out}: {count:,} vectors")
        if context.as_json:
            context.output.json({"file": str(out), "vectors": count})


def _write(out: Path, parts: list[Any]) -> None:
    """An array as NumPy stores one, without pickling."""
    import io

    import numpy as np

    from charlm.storage.atomic import write_atomically

    file = io.BytesIO()
    np.save(file, np.concatenate(parts) if parts else np.empty((0, 0), np.float32), False)
    write_atomically(out, file.getvalue())
