"""What a request names, read: the models to start from, and the labelled texts in their parts."""

from dataclasses import replace
from pathlib import Path

from charlm.classifier_settings import ClassifierConfig
from charlm.classifying.planning import adopted_by, check
from charlm.classifying.request import ClassifierRequest, Data
from charlm.classifying.unlabelled import named_text
from charlm.errors import UsageError
from charlm.loaded import Model
from charlm.runs.export import read_model
from charlm.text.labelled import LabelledRow, Layout, read_labelled
from charlm.text.labelled_splits import Division, divide
from charlm.text.sources import STDIN, expand
from charlm.training.listener import Listener


def checked(request: ClassifierRequest) -> tuple[ClassifierRequest, list[Model]]:
    """The request with what the models decide that it starts from, and these. DataError: the text
    without labels is not there."""
    check(request.config, request.given)
    text = named_text(request.config)
    if text is not None:
        expand([text])  # that it is there is looked at before much is read
    sources = sources_named(request.config)
    return replace(request, config=adopted_by(request.config, request.given, sources)), sources


def sources_named(config: ClassifierConfig) -> list[Model]:
    """The models to start from. RunError where one is none."""
    paths = (config.model.init_from, config.classifier.backward)
    return [Model(read_model(path)) for path in paths if path is not None]


def refuse_to_overwrite(out: Path, sources: list[Model]) -> None:
    """UsageError where a model to start from lies in the run to be made."""
    for source in sources:
        path = source.stored.path.resolve()
        if out.resolve() in (path, *path.parents):
            raise UsageError(
                f"{source.stored.path}, which is to be started from, would be overwritten",
                "Give another --out.",
            )


def divided(request: ClassifierRequest, listener: Listener) -> Division:
    """The labelled texts of the request, in their parts."""
    corpus = request.config.corpus
    layout: Layout = {"encoding": corpus.encoding, "errors": corpus.errors, **request.layout}

    named = request.data, request.valid or corpus.valid, request.test or corpus.test
    if sum(isinstance(each, str) and each == STDIN for each in named) > 1:
        raise UsageError(
            "`-` is named twice, and standard input can be read only once",
            "Name it once; put the other texts into a file.",
        )

    def rows(data: Data | None) -> list[LabelledRow] | None:
        if data is None:
            return None
        if not isinstance(data, str | Path):
            return list(data)
        return read_labelled(data, stdin=request.stdin, say=listener.say, **layout)

    train = rows(request.data)
    assert train is not None
    return divide(
        train,
        rows(named[1]),
        rows(named[2]),
        corpus.valid_fraction,
        corpus.test_fraction,
        request.config.optimisation.seed,
        listener.say,
    )
