"""What a Python user calls: `train`, `load` and the model that it gives.

    import charlm
    charlm.train(["notes.txt"], "runs/notes", minutes=5)
    model = charlm.load("runs/notes")
    print(model.generate("The patient ", length=200))

Importing this file imports no torch: a loaded model writes text without it.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from charlm import launched, registry
from charlm.classifying.calls import finetune_classifier as finetune_classifier
from charlm.classifying.calls import plan_classifier as plan_classifier
from charlm.classifying.loaded import ClassifierModel, network_of
from charlm.config import SETTINGS, Config
from charlm.errors import UsageError
from charlm.gradient_settings import FreshSettings, GradientSettings
from charlm.loaded import Model
from charlm.precedence import build, named_settings, read_preset
from charlm.runs.directory import RunDirectory, is_run
from charlm.runs.export import export_run, read_model
from charlm.runs.history import History
from charlm.training.listener import Listener

if TYPE_CHECKING:
    from charlm.audit_settings import AuditSettings
    from charlm.auditing import Audit
    from charlm.planning import Plan
    from charlm.run_story import RunStory
    from charlm.verification import Verification

CORPORA = Path(__file__).parent / "corpora"
PROCESS_STARTED = time.monotonic()  # what --minutes counts from


def train(
    texts: Sequence[str | Path] = (),
    out: str | Path = "",
    *,
    preset: str | None = None,
    config: Config | None = None,
    given: Sequence[str] = (),
    resume: bool = False,
    force: bool = False,
    listener: Listener | None = None,
    stdin: BinaryIO | None = None,
    started: float | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Train a run and return its summary: run, tokens_per_second, seconds, epochs, steps,
    parameters, valid, test.

    Settings go by their option's name (`hidden_size=256, minutes=3`), over those of a `preset`;
    or as a `config`, of which `given` names the keys that were chosen and must not change on
    resuming.

    In processes that torchrun started, all of which must call it, the first gives the summary and
    the others an empty one. They should end by os._exit, as the command does: gloo's threads may
    end a process with SIGABRT while Python is taken down.
    Raises the errors of `charlm.errors`.
    """
    if launched.follows():
        from charlm.training_beside import train_beside

        train_beside()
        return {}
    from charlm.planning import Request
    from charlm.training_run import train as run_training

    if not str(out):
        raise UsageError("out is missing", "Name the run directory to make.")
    if config is None:
        config, given = _configuration(preset, settings)
    elif settings or preset:
        raise UsageError("both config and single settings are given", "Give one of them.")
    named = texts or config.corpus.corpus
    sources, config = ([], config) if resume and not named else _sources(texts, config)
    request = Request(
        out=Path(out),
        config=config,
        sources=sources,
        given=given,
        resume=resume,
        force=force,
        stdin=stdin,
        started=time.monotonic() if started is None else started,
    )
    return run_training(request, listener or Listener())


def plan(
    texts: Sequence[str | Path],
    *,
    config: Config,
    given: Sequence[str] = (),
    listener: Listener | None = None,
    stdin: BinaryIO | None = None,
) -> "Plan":
    """What `train` would do, with its reasons; trains nothing."""
    from charlm.planning import Request
    from charlm.planning import plan as make_plan

    with tempfile.TemporaryDirectory() as folder:
        sources, own = _sources(texts, config)
        request = Request(out=Path(), config=own, sources=sources, given=given, stdin=stdin)
        found = make_plan(request, listener or Listener(), Path(folder))
    # Without the parts of an embedded corpus: they are no choice of the person's.
    parts = {f"corpus.{part}": config.get(f"corpus.{part}") for part in ("valid", "test")}
    return replace(found, config=found.config.with_values(parts))


def _sources(texts: Sequence[str | Path], config: Config) -> tuple[list[str | Path], Config]:
    """The texts, or without any an embedded corpus with its own splits."""
    if texts:
        named: list[str | Path] = [texts] if isinstance(texts, str | Path) else [*texts]
        for text in named:
            if is_run(Path(text)):
                raise UsageError(
                    f"{text} is a run, and not a text", "Name the text that it was trained on."
                )
        if config.corpus.corpus is not None:
            raise UsageError(
                f"--corpus {config.corpus.corpus} is given, and a TEXT beside it",
                "Give one of them.",
            )
        return named, config
    for part in ("valid", "test"):
        key = f"corpus.{part}_fraction"
        if config.get(key) != SETTINGS[key].default:
            raise UsageError(
                f"--{part}-fraction is given, but the corpus that comes with charlm has its own "
                "parts",
                "Leave it out, or name a TEXT.",
            )
    folder = CORPORA / (config.corpus.corpus or registry.CORPORA[0])
    own = {
        f"corpus.{part}": str(folder / f"{part}.txt")
        for part in ("valid", "test")
        if config.get(f"corpus.{part}") is None
    }
    return [folder / "train.txt"], config.with_values(own)


def export(run: str | Path, file: str | Path, together: bool = False) -> None:
    """Write what is needed to generate, score and classify to one file.

    together: and what a classifier counts words with (`ClassifierModel.together`), which are
    words of the text. UsageError where it has nothing such.
    """
    stored = load(run)
    if stored.stored.kind != "run":
        raise UsageError(f"{run} is an exported file already", "Copy it.")
    # Nothing of where it came from.
    config = asdict(stored.config.with_values({"model.init_from": None}))
    # Regularisation: what zoneout does stays part of the model.
    parts = {name: config[name] for name in ("tokenizer", "model", "regularisation")}
    if isinstance(stored, ClassifierModel):
        parts |= stored.own_parts()
    along: dict[str, bytes] = {}
    if together:
        stored.together  # noqa: B018
        along = RunDirectory.open(run).read_together()
    export_run(run, file, parts, along=along)


def history(run: str | Path) -> History:
    """What a run has reported of its course, and how it ended. RunError."""
    return History.of(run)


def verify(run: str | Path) -> "Verification":
    """Whether a run or an exported file is whole, part by part. RunError where there is none."""
    from charlm.verification import verify as verify_run

    return verify_run(run)


def doctor(folder: str | Path = ".") -> dict[str, Any]:
    """What charlm finds on this machine: the keys of `charlm doctor --json`."""
    from charlm.doctor import examine

    return examine(folder)


def story(
    run: str | Path, *, with_text: bool = True, say: Callable[[str], None] = lambda message: None
) -> "RunStory":
    """What a report of a run is made of; without samples and passage unless `with_text`."""
    from charlm.run_story import story_of

    return story_of(run, with_text, say)


def gradients(
    run: str | Path | None = None,
    *,
    text: str | Path | None = None,
    networks: Sequence[str] = (),
    settings: GradientSettings | None = None,
    fresh: FreshSettings | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
    stdin: BinaryIO | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """What is left of a gradient some steps back, by network: the run, or fresh ones.

    Without a text: the run's own held-out part, or the corpus that comes with charlm.
    """
    from charlm.gradient_study import of_fresh_networks, of_run
    from charlm.text.corpus import Reading

    settings = settings or GradientSettings()
    reading = Reading(encoding=encoding, errors=errors, stdin=stdin, say=say)
    if run is not None:
        return {str(run): of_run(load(run), text, settings, reading)}
    own = CORPORA / "clinical_notes" / "train.txt"
    return of_fresh_networks(networks, text or own, settings, fresh or FreshSettings(), reading)


def audit(
    run: str | Path,
    corpus: Sequence[str | Path],
    held_out: Sequence[str | Path] = (),
    settings: "AuditSettings | None" = None,
    *,
    stdin: BinaryIO | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> "Audit":
    """What a model repeats of the text it was trained on. RunError; errors of reading text."""
    from charlm.auditing import audit as audit_model

    return audit_model(load(run), corpus, held_out, settings, stdin=stdin, say=say)


def load(run: str | Path) -> "Model":
    """The best model of a run (else its last), or an exported one; of a classifier's run a
    `ClassifierModel`. RunError."""
    return network_of(read_model(run))


def _configuration(preset: str | None, settings: Mapping[str, Any]) -> tuple[Config, list[str]]:
    layers = [] if preset is None else [read_preset(preset)]
    layers.append(named_settings(settings, Config))
    return build(layers), [key for layer in layers for key in layer.values]
