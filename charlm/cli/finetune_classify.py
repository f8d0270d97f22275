"""charlm finetune-classify: its options, and what is shown before and after."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from charlm.classifier_settings import UNUSED, ClassifierConfig
from charlm.cli.labelled_options import LABELS, TABLE, layout_of, refuse_without_table
from charlm.cli.learning_curve_options import CURVE, curve_of
from charlm.cli.run_options import check_making, making_a_run
from charlm.cli.verbs import (
    Context,
    given,
    parameter,
    point_out_unused_pipe,
    setting_option,
    standard_input,
)
from charlm.errors import UsageError
from charlm.precedence import Layer, build, to_toml
from charlm.report.output import visible
from charlm.settings import fields_of

_WITHOUT = (*UNUSED, "model.init_from")  # that is RUN
_FIELDS = {key: field for key, field in fields_of(ClassifierConfig).items() if key not in _WITHOUT}
_DEFAULTS = {"tokenizer.tokenizer": "word"}
_PANELS = {
    "classifier": "Classifier", "corpus": "Corpus", "tokenizer": "Tokenizing (RUN none)",
    "model": "Model (RUN none)", "regularisation": "Regularisation",
    "optimisation": "Optimisation", "budget": "Budget",
}  # fmt: skip
_FIRST = ("classifier", "budget", "optimisation", "regularisation", "corpus", "tokenizer", "model")

PARAMETERS = [
    parameter(
        "run",
        str | None,
        typer.Argument(
            metavar="RUN",
            help="a run of charlm train to start from, or none",
            show_default=False,
        ),
    ),
    parameter(
        "data",
        str | None,
        typer.Argument(
            metavar="DATA",
            help="texts and labels: .csv, .tsv or .jsonl (.gz too), or -",
            show_default=False,
        ),
    ),
    *making_a_run("RUN2"),
    *TABLE,
    LABELS,
    *CURVE,
    *(
        setting_option(
            field.name,
            field.kind,
            field.setting,
            _DEFAULTS.get(key, field.default),
            _PANELS[field.section],
        )
        for section in _FIRST
        for key, field in _FIELDS.items()
        if field.section == section
    ),
]


def finetune_classify(context: Context, values: Mapping[str, Any]) -> None:
    """Make a text classifier of a language model, or of nothing.

    Example: charlm finetune-classify runs/notes specialties.csv --out runs/specialty
    """
    keys = {field.name: key for key, field in _FIELDS.items()}
    options = given(values, keys)
    layer = Layer("options", {keys[name]: value for name, value in options.items()})
    config = build([layer], kind=ClassifierConfig)
    run, data = values["run"], values["data"]
    check_making(values)
    if data is None and not values["resume"]:
        raise UsageError(
            "RUN and DATA are both needed",
            "Name a run (or none) and a table: charlm finetune-classify runs/notes data.csv",
        )
    if data is None:
        refuse_without_table(values)
    curve = curve_of(values)
    stdin = standard_input("the table") if data == "-" else None
    point_out_unused_pipe(context, stdin is not None)

    from charlm import api
    from charlm.report.training_screen import TrainingScreen

    screen = TrainingScreen(context.messages, show_samples=False)
    how: dict[str, Any] = {
        "layout": layout_of(values),
        "config": config,
        # Where a run is gone on with, `none` is to be what it has.
        "given": [*layer.values, *(["model.init_from"] if run == "none" else [])],
        "listener": screen,
        "stdin": stdin,
    }
    assert isinstance(config, ClassifierConfig)
    if values["dry_run"]:
        _show_plan(context, api.plan_classifier(run or "none", data, **how))
        return
    summary = api.finetune_classifier(
        run or "none",
        data,
        values["out"],
        resume=values["resume"],
        force=values["force"],
        curve=curve,
        started=api.PROCESS_STARTED,
        **how,
    )
    if context.as_json:
        context.output.json(summary)
    _show_summary(context, summary)


def _show_plan(context: Context, plan: Any) -> None:
    if context.as_json:
        context.output.json(
            {
                "config": asdict(plan.config),
                "parameters": plan.parameters,
                "classes": list(plan.classes),
                "reasons": {choice.key: choice.reason for choice in plan.choices},
            }
        )
        return
    context.output.write(to_toml(plan.config))
    for choice in plan.choices:
        context.messages.say(f"{choice.key} = {choice.value}: {choice.reason}")
    context.messages.say(f"{plan.parameters:,} parameters; {len(plan.classes)} classes")


def _show_summary(context: Context, summary: Mapping[str, Any]) -> None:
    from charlm.report.classifier_pictures import write_classifier_pictures
    from charlm.report.classifier_tables import show_classifier

    run = str(summary["run"])
    context.messages.say(
        f"{visible(run)}: {summary['steps']:,} steps, {summary['epochs']:.1f} passes, "
        f"{summary['seconds']:.0f} seconds; {summary['tokens_per_second']:,.0f} tokens a second, "
        f"{summary['padding']:.1%} of them padding; the best was step {summary['best_step']:,}"
    )
    if not summary["steps"]:
        context.messages.say(
            "The time was over before the first step: nothing was learned. Give more --minutes."
        )
    show_classifier(context.messages, summary)
    write_classifier_pictures(summary, Path(run))
    if "learning_curve" in summary:
        from charlm.report.learning_curve import show_learning_curve, write_learning_curve

        show_learning_curve(context.messages, summary["learning_curve"])
        write_learning_curve(summary["learning_curve"], Path(run) / "learning_curve")
    name = shlex.quote(visible(run))
    both = summary.get("together")
    better = " --together" if both and both["macro_f1"] > summary["test"]["macro_f1"] else ""
    context.messages.say(
        f"Next:\n  charlm classify {name} FILE{better}\n  charlm embed {name} FILE"
    )
    if summary["test"] or summary["valid"]:
        context.messages.say(
            f"The surest wrong answers, with their texts: {visible(run)}/wrong_answers.jsonl"
        )
