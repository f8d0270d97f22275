"""What a Python user calls to make a classifier; imported without torch, as `charlm.api`."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from charlm.classifier_settings import ClassifierConfig
from charlm.errors import UsageError
from charlm.precedence import build, named_settings
from charlm.training.listener import Listener

if TYPE_CHECKING:
    from charlm.classifying.planning import ClassifierPlan
    from charlm.classifying.request import CurveRequest, Data
    from charlm.text.labelled import Layout


def finetune_classifier(
    run: str | Path,
    data: "Data | None" = None,
    out: str | Path = "",
    *,
    valid: "Data | None" = None,
    test: "Data | None" = None,
    layout: "Layout | None" = None,
    config: ClassifierConfig | None = None,
    given: Sequence[str] = (),
    resume: bool = False,
    force: bool = False,
    listener: Listener | None = None,
    stdin: BinaryIO | None = None,
    curve: "CurveRequest | None" = None,
    started: float | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Make a classifier of a language model's run ("none": of nothing) and return its summary:
    run, classes, n_train, seconds, valid, test, baseline and more.

    data, valid, test: tables, or rows (`charlm.text.labelled.LabelledRow`); layout: how tables
    are read; curve: also what fewer labels come to, under `learning_curve`. Settings as of `train`.
    """
    from charlm.classifying.curve_of_run import curve_of_run
    from charlm.classifying.request import ClassifierRequest
    from charlm.classifying.run import finetune

    if not str(out):
        raise UsageError("out is missing", "Name the run directory to make.")
    if config is None:
        config, given = classifier_configuration(settings)
    elif settings:
        raise UsageError("both config and single settings are given", "Give one of them.")
    if str(run) != "none":
        config = config.with_values({"model.init_from": str(run)})
        given = [*given, "model.init_from"]
    request = ClassifierRequest(
        out=Path(out),
        config=config,
        data=data,
        valid=valid,
        test=test,
        layout=layout or {},
        given=given,
        resume=resume,
        force=force,
        stdin=stdin,
        curve=curve,
        started=time.monotonic() if started is None else started,
    )
    listener = listener or Listener()
    summary = finetune(request, listener)
    return summary if curve is None else curve_of_run(request, curve, summary, listener)


def plan_classifier(
    run: str | Path,
    data: "Data",
    *,
    layout: "Layout | None" = None,
    config: ClassifierConfig,
    given: Sequence[str] = (),
    listener: Listener | None = None,
    stdin: BinaryIO | None = None,
) -> "ClassifierPlan":
    """What `finetune_classifier` would do, with its reasons; trains nothing."""
    from charlm.classifying.request import ClassifierRequest
    from charlm.classifying.run import plan as make_plan

    if str(run) != "none":
        config = config.with_values({"model.init_from": str(run)})
    request = ClassifierRequest(Path(), config, data, layout=layout or {}, given=given, stdin=stdin)
    return make_plan(request, listener or Listener())


def classifier_configuration(settings: Mapping[str, Any]) -> tuple[ClassifierConfig, list[str]]:
    """The configuration that these settings, by their options' names, make; and their keys."""
    options = named_settings(settings, ClassifierConfig)
    config = build([options], kind=ClassifierConfig)
    assert isinstance(config, ClassifierConfig)
    return config, list(options.values)
