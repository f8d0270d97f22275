"""Runs side by side: what they are, where their settings differ, and what they reached."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from charlm.runs.history import History

# Settings that say where a run stood and not what it is.
_PLACES = ("corpus.valid", "corpus.test", "model.init_from")
_KIND = ("model.cell", "tokenizer.tokenizer")
_COURSE = ("parameters", "steps", "epochs", "seconds", "tokens_per_second")
_LEFT_OUT = ("per_class",)


def comparison(histories: Sequence[History]) -> dict[str, list[Any]]:
    """Name of a figure -> its value in each run, None where a run has none.

    First cell and tokenizer, then the other settings that differ, then the figures.
    """
    configs = [dict(_flat(history.config)) for history in histories]
    rows: dict[str, list[Any]] = {}
    keys = dict.fromkeys(key for config in configs for key in config)
    for key in (*_KIND, *(key for key in keys if key not in (*_KIND, *_PLACES))):
        values = [config.get(key) for config in configs]
        if key in _KIND or any(value != values[0] for value in values):
            rows[key] = values
    found = [_reached(history) for history in histories]
    for key in dict.fromkeys(key for figures in found for key in figures):
        rows[key] = [figures.get(key) for figures in found]
    return {key: values for key, values in rows.items() if any(v is not None for v in values)}


def warnings(histories: Sequence[History]) -> list[str]:
    """What to know before the figures are compared."""
    found = []
    for part in ("valid", "test"):
        sizes = {
            (figures.get("characters"), figures.get("bytes"), figures.get("n"))
            for history in histories
            if isinstance(figures := (history.summary or {}).get(part), Mapping)
        }
        if len(sizes) > 1:
            found.append(
                f"The {part} figures are of texts of different sizes: they do not compare. "
                "`charlm evaluate RUN TEXT` measures each run on one text."
            )
    found += [
        f"{history.path} has not ended: its figures are those of its last evaluation."
        for history in histories
        if history.summary is None
    ]
    return found


def _reached(history: History) -> dict[str, Any]:
    """The figures of summary.json; before the end, those of the last reports."""
    if history.summary is None:
        figures = {}
        for key in ("nats_per_token", "bits_per_character", "accuracy", "macro_f1"):
            values = history.series("valid", "step", key)[1]
            if values:
                figures[f"valid.{key}"] = values[-1]
        steps = [record["step"] for record in history.records]
        return {"steps": steps[-1] if steps else 0, **figures}
    flat = dict(_flat(history.summary))
    course = {key: flat.get(key) for key in _COURSE}
    parts = {key: value for key, value in flat.items() if "." in key}
    return course | {key: value for key, value in parts.items() if isinstance(value, int | float)}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if key in _LEFT_OUT:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
