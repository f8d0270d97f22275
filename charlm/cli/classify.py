"""charlm classify: a text in, its class out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from charlm.cli.labelled_options import LABELS_TO_MEASURE, TABLE
from charlm.cli.single_texts import FILE, open_texts
from charlm.cli.verbs import Context, SharedSettings, checked, parameter, setting_option
from charlm.errors import UsageError
from charlm.report.output import one_line
from charlm.settings import Setting

if TYPE_CHECKING:
    from charlm.text.labelled import LabelledRow

_LEAST = Setting("answer - where the class is less probable than this", least=0, most=1)
_READING = SharedSettings("corpus.encoding", "corpus.errors")
_RUNNING = SharedSettings(
    "optimisation.precision",
    "optimisation.threads",
    "optimisation.device",
    "optimisation.kernel",
)
UNDECIDED = "-"

PARAMETERS = [
    parameter(
        "run", Path, typer.Argument(metavar="RUN", help="a classifier's run or exported file"), ...
    ),
    FILE,
    parameter(
        "every",
        bool,
        typer.Option("--all", help="a line for every class, the likeliest first"),
        False,
    ),
    setting_option("min_probability", float, _LEAST, 0.0),
    parameter(
        "together",
        bool,
        typer.Option(
            "--together",
            help="by the network and by counted words, both: the better where labels are few",
        ),
        False,
    ),
    *TABLE,
    LABELS_TO_MEASURE,
    *_READING.options,
    *_RUNNING.options,
]


def classify(context: Context, values: Mapping[str, Any]) -> None:
    """Say of each text which class it is of: label, probability, text.

    Example: charlm classify runs/specialty - < notes.txt | cut -f1 | sort | uniq -c
    """
    least = checked("--min-probability", values["min_probability"], float, _LEAST, 0.0)
    reading, running = _READING.read(values), _RUNNING.read(values)
    if values["every"] and values["min_probability"] is not None:
        raise UsageError(
            "--min-probability is about the likeliest class, and --all shows every one",
            "Leave one of them out.",
        )
    if values["every"] and context.as_json:
        raise UsageError("--json shows every class by itself", "Leave --all out.")
    batches = open_texts(context, values, reading)

    from charlm import api

    model = api.load(values["run"])
    if values["together"]:
        model.together  # noqa: B018  # before the first text
    if UNDECIDED in model.classes and values["min_probability"] is not None:
        raise UsageError(
            f"{UNDECIDED} is a class of {values['run']}, and --min-probability answers it where no "
            "class is probable enough",
            "Leave it out, and go by the probabilities.",
        )
    running["together"] = values["together"]
    tally = None
    if values["label_column"] is not None:
        from charlm.classifying.tally import Tally

        tally = Tally(model.classes)
    for batch in batches:
        answers = model.classify_batch([row.text for row in batch], **running)
        for row, answer in zip(batch, answers, strict=True):
            label = answer.label if answer.probability >= least else UNDECIDED
            _show(context, values["every"], label, row, answer)
        if tally is not None:
            tally.add([row.label for row in batch], answers, [row.row for row in batch])
    if tally is not None:
        figures = tally.figures()
        if context.as_json:
            context.output.json({"metrics": figures})
        else:
            context.messages.say(
                f"accuracy {figures['accuracy']:.4f}, macro F1 {figures['macro_f1']:.4f}, "
                f"{figures['nats']:.4f} nats a text, over {figures['n']:,} texts"
            )


def _show(context: Context, every: bool, label: str, row: "LabelledRow", answer: Any) -> None:
    out = context.output
    if context.as_json:
        out.json(
            {
                "label": label,
                "probability": answer.probability,
                "probabilities": answer.probabilities,
                "text": row.text,
            }
        )
        return
    # The text comes last, exactly as it is unless it has lines of its own.
    text = one_line(row.text) if "\n" in row.text else row.text
    ranked = [(label, answer.probability)]
    if every:
        ranked = sorted(answer.probabilities.items(), key=lambda item: -item[1])
    out.write("".join(f"{_cell(name)}\t{value:.4f}\t{text}\n" for name, value in ranked))


def _cell(name: str) -> str:
    """A label as it is, unless it would break its column."""
    return one_line(name) if "\n" in name or "\t" in name else name
