"""charlm embed: a text in, a vector out, for other tools."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from charlm import registry
from charlm.cli.verbs import (
    Context,
    SharedSettings,
    checked,
    open_or_standard_input,
    parameter,
    point_out_unused_pipe,
    setting_option,
)
from charlm.errors import UsageError
from charlm.settings import Setting
from charlm.storage.places import require_file_place
from charlm.text.tables import told_format

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
_LINES, _CHARACTERS = 512, 1 << 18  # read at once

PARAMETERS = [
    parameter("run", Path, typer.Argument(metavar="RUN", help="any run or exported file"), ...),
    parameter(
        "file",
        str,
        typer.Argument(metavar="[FILE|-]", help="a text a line", show_default=False),
        "-",
    ),
    parameter(
        "out",
        Path | None,
        typer.Option("--out", "-o", metavar="FILE.npy", help="an array (N, F) for NumPy"),
    ),
    setting_option("pooling", str, _POOLING, "auto"),
    *_SHARED.options,
    *_RUNNING.options,
]


def embed(context: Context, values: Mapping[str, Any]) -> None:
    """A vector for each text: numbers and tabs, a line a text, or an array in a file.

    Example: charlm embed runs/notes notes.txt --out notes.npy
    """
    pooling = checked("--pooling", values["pooling"], str, _POOLING, "auto")
    reading, running = _SHARED.read(values), _RUNNING.read(values)
    out, file = values["out"], values["file"]
    if out is not None and out.suffix != ".npy":
        raise UsageError(f"--out {out} is no .npy file", "Name it FILE.npy, or leave it out.")
    if out is not None:
        require_file_place(out)
    if told_format(file) is not None:
        raise UsageError(
            f"{file} is a table, and a text is a line here: labels and ids would be read too",
            f"Give the texts alone, or its lines as they are: charlm embed RUN - < {file}",
        )
    stream = open_or_standard_input(file, "the texts")
    point_out_unused_pipe(context, file == "-")

    from charlm import api
    from charlm.text.lines import line_batches, without_break

    model = api.load(values["run"])
    name = "standard input" if file == "-" else file
    kept: list[Any] = []
    count = 0
    say = context.messages.say
    for batch in line_batches(stream, _LINES, _CHARACTERS, name=name, say=say, **reading):
        texts = [without_break(line) for line in batch]
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
