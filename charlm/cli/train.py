"""charlm train: its options, and what is shown before and after."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from charlm import launched
from charlm.cli.run_options import check_making, making_a_run
from charlm.cli.verbs import (
    Context,
    given,
    parameter,
    point_out_unused_pipe,
    setting_option,
    standard_input,
)
from charlm.config import SETTINGS, Config
from charlm.errors import UsageError
from charlm.precedence import (
    ASSIGNED,
    Layer,
    build,
    read_assignments,
    read_file,
    read_preset,
    to_toml,
)
from charlm.report.output import visible

_PANELS = {
    "corpus": "Corpus",
    "tokenizer": "Tokenizing",
    "model": "Model",
    "regularisation": "Regularisation",
    "optimisation": "Optimisation",
    "budget": "Budget",
}

PARAMETERS = [
    parameter(
        "texts",
        list[str] | None,
        typer.Argument(
            metavar="[TEXT ...]",
            help="files, folders (*.txt in them), .gz, or - for standard input; "
            "without any, the notes that come with charlm (--corpus: another)",
            show_default=False,
        ),
    ),
    *making_a_run("RUN"),
    parameter(
        "preset",
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="a ready recipe; what is chosen without it mostly learns more in the same time",
        ),
    ),
    parameter(
        "config",
        Path | None,
        typer.Option("--config", metavar="FILE.toml", help="settings from a file"),
    ),
    parameter(
        "set_values",
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="one setting (repeatable)"),
    ),
    *(
        setting_option(
            field.name,
            field.kind,
            field.setting,
            field.default,
            _PANELS[field.section],
        )
        for field in SETTINGS.values()
    ),
]


def train(context: Context, values: Mapping[str, Any]) -> None:
    """Train a language model on your text.

    Example: charlm train notes.txt --out runs/notes --minutes 5
    """
    if launched.follows():  # the first process reads the options, and speaks
        if not values["dry_run"]:
            _beside()
        return
    config, keys = _configuration(values)
    texts = values["texts"] or []
    read = [*texts, config.corpus.valid, config.corpus.test]
    stdin = standard_input("the text") if "-" in read else None
    point_out_unused_pipe(context, stdin is not None)
    check_making(values)

    from charlm import api
    from charlm.report.training_screen import TrainingScreen

    screen = TrainingScreen(context.messages)
    if values["dry_run"]:
        plan = api.plan(texts, config=config, given=keys, listener=screen, stdin=stdin)
        _show_plan(context, plan)
        return
    out = values["out"]
    summary = api.train(
        texts,
        out,
        config=config,
        given=keys,
        resume=values["resume"],
        force=values["force"],
        listener=screen,
        stdin=stdin,
        started=api.PROCESS_STARTED,
    )
    if context.as_json:
        context.output.json(summary)
    _show_summary(context, summary)


def _beside() -> None:
    from charlm import api

    api.train()


def _configuration(values: Mapping[str, Any]) -> tuple[Config, list[str]]:
    """The configuration, and the dotted keys that a preset, a file or an option gave."""
    layers = []
    if values["preset"] is not None:
        layers.append(read_preset(values["preset"]))
    if values["config"] is not None:
        layers.append(read_file(values["config"]))
    if values["set_values"]:
        layers.append(read_assignments(values["set_values"]))
    keys = {field.name: key for key, field in SETTINGS.items()}
    options = given(values, keys)
    layers.append(Layer("options", {keys[name]: value for name, value in options.items()}))
    twice = [key for layer in layers if layer.source == ASSIGNED for key in layer.values]
    for key in set(twice) & set(layers[-1].values):
        raise UsageError(f"{SETTINGS[key].option} and --set {key} are both given", "Give one.")
    config = build(layers)
    return config, [key for layer in layers for key in layer.values]


def _show_plan(context: Context, plan: Any) -> None:
    if context.as_json:
        context.output.json(
            {
                "config": asdict(plan.config),
                "parameters": plan.architecture.parameters(),
                "memory_bytes": plan.memory_estimate(),
                "train_tokens": plan.train_tokens,
                "reasons": {choice.key: choice.reason for choice in plan.choices},
            }
        )
        return
    context.output.write(to_toml(plan.config))
    for warning in plan.warnings():
        context.messages.say(warning)
    for choice in plan.choices:
        context.messages.say(f"{choice.key} = {choice.value}: {choice.reason}")
    context.messages.say(
        f"{plan.architecture.parameters():,} parameters; {plan.train_tokens:,} tokens to train "
        f"on; about {plan.memory_estimate() / 2**20:,.0f} MiB of memory beside torch's own"
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _show_summary(context: Context, summary: Mapping[str, Any]) -> None:
    rows: list[tuple[Any, ...]] = [
        ("steps", f"{summary['steps']:,}"),
        ("passes over the text", f"{summary['epochs']:.2f}"),
        ("seconds", f"{summary['seconds']:.1f}"),
        ("tokens per second", f"{summary['tokens_per_second']:,.0f}"),
        ("parameters", f"{summary['parameters']:,}"),
    ]
    for part in ("valid", "test"):
        figures = summary[part]
        if figures is not None:
            # Without bits, where words are unknown, the perplexity.
            bits = figures["bits_per_character"] is not None
            keys = ["bits_per_character", "bits_per_byte"] if bits else ["perplexity", "oov_rate"]
            rows += [
                (f"{part}: {key.replace('_', ' ')}", _figure(figures[key]))
                for key in ["nats_per_token", *keys]
            ]
            if limit := figures.get("limit"):
                rows += [
                    (f"{part}: limit, bits per character", _figure(limit["bits_per_character"])),
                    (f"{part}: gap to the limit", f"{limit['gap']:.1%}"),
                ]
    run = summary["run"]
    evaluated = summary["valid"] is not None
    title = f"{run}: {'the best of its evaluations' if evaluated else 'the last'}, step "
    title += f"{summary['best_step']:,}"
    context.messages.table(title, rows, ("", ""))
    name = shlex.quote(visible(str(run)))
    context.messages.say(
        f"Next:\n  charlm generate {name} --length 400\n"
        f"  charlm evaluate {name} {'--counts' if evaluated else 'FILE'}\n"
        f"  charlm score {name} FILE"
    )
