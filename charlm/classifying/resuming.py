"""Whether what a classifier's run is gone on with is what it was begun with."""

from dataclasses import replace

from charlm.classifier_settings import ClassifierConfig
from charlm.classifying.labelled_cache import open_texts, sources_of
from charlm.classifying.planning import RUN
from charlm.classifying.reading import divided
from charlm.classifying.request import ClassifierRequest
from charlm.classifying.unlabelled import counted_text_differs
from charlm.errors import UsageError
from charlm.precedence import differing
from charlm.runs.directory import LANGUAGE_MODELS, RunDirectory
from charlm.text.corpus import Sources, corpus_fingerprint
from charlm.text.labelled_splits import Division
from charlm.text.token_cache import TokenCache
from charlm.training.listener import Listener


def refuse_changes(run: RunDirectory, stored: ClassifierConfig, request: ClassifierRequest) -> None:
    """UsageError where settings that were given are others than those of the run, or the texts
    or labels are others than those in its cache; without DATA these are not looked at."""
    given = request.config
    problems = [
        f"{RUN if entry.key == 'model.init_from' else entry.option} is "
        f"{_shown(given.get(entry.key))}, and the run has {_shown(stored.get(entry.key))}"
        for entry in differing(stored, given, request.given)
    ]
    if not problems and request.data is not None:
        division = divided(replace(request, config=stored), Listener())
        if _differs(run, division):
            problems.append("the texts or labels are not those the run was started with")
        elif _more_text_differs(run, division, stored):
            problems.append("the text of --lm-text is not the one the run was started with")
        elif counted_text_differs(run, stored):
            problems.append("the text of --unlabelled-text is not the one the run was started with")
    if problems:
        raise UsageError(
            f"{run.path} cannot be resumed with changes: {'; '.join(problems)}",
            "Leave them out, or start another run with another --out.",
        )


def _shown(value: object) -> object:
    return "none" if value is None else value


def _differs(run: RunDirectory, division: Division) -> bool:
    known = open_texts(run.cache)
    if division.classes != known.classes or _fingerprint(division) != _cached(run):
        return True
    return any(division.numbers(part) != known.labels[part].tolist() for part in known.labels)


def _more_text_differs(run: RunDirectory, division: Division, stored: ClassifierConfig) -> bool:
    more = stored.classifier.lm_text
    if more is None:
        return False
    corpus = stored.corpus
    nested = RunDirectory(run.path / LANGUAGE_MODELS[0])
    return _fingerprint(division, [more], corpus.encoding, corpus.errors) != _cached(nested)


def _cached(run: RunDirectory) -> str:
    return TokenCache.open(run.cache).manifest.corpus_sha256


def _fingerprint(
    division: Division,
    more: Sources | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
) -> str:
    """As `_cached` has it of a cache with these texts; of a language model's with `more` text,
    which has no test part."""
    return corpus_fingerprint(
        [*sources_of(division.train), *(more or ())],
        valid=sources_of(division.valid),
        test=sources_of(division.test) if more is None else None,
        encoding=encoding,
        errors=errors,
    )
