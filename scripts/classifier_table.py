"""What transfer is worth: classifiers on public sets, by the number of labels and by the recipe.

    python scripts/classifier_table.py DATA --work FOLDER [--sets mtsamples subj] [--recipes]

DATA holds the sets of benchmarks/labelled_sets.py. For each set a language model is trained for
--lm-minutes (or taken: --run mtsamples=runs/reports), then with 100, 500 and all labels, --repeats
times each, the transferred classifier, the same from scratch, the TF-IDF baseline, and words with
what the language model's own text tells of them. --recipes
instead leaves out one part of the recipe after the other, on all labels, and compares each with the
baseline on the same test texts (paired bootstrap over texts, of the mean over seeds). Prints
Markdown. What is done stays in FOLDER and is not done again.
"""

import argparse
import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.labelled_sets import SETS, LabelledSet

import charlm
from charlm.classifying.request import CurveRequest
from charlm.evaluation.classification import paired_bootstrap
from charlm.evaluation.intervals import mean_interval
from charlm.evaluation.tfidf_baseline import fit_words

# What each row of the second table changes. "from scratch": RUN none, of the same sizes.
RECIPES: dict[str, dict[str, Any]] = {
    "the whole recipe": {},
    "language model not fine-tuned": {"lm_epochs": 0},
    "one more layer at a time": {"gradual_unfreezing": True},
    "rates that fall by 1.5 a layer": {"discriminative_lr": 1.5},
    "rates that fall by 2.6 a layer": {"discriminative_lr": 2.6},
    "constant rate": {"schedule": "constant"},
    "last output alone": {"pooling": "last"},
    "mean of the outputs alone": {"pooling": "mean"},
    "largest outputs alone": {"pooling": "max"},
    "no hidden layer in the head": {"head_size": None},
    "no dropout": {"dropout": 0.0},
    "balanced classes": {"class_weights": "balanced"},
    "with the language model's loss": {"lm_loss": 0.1},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="where runs and results stay")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--labels", nargs="+", default=["100", "500", "all"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--recipes", action="store_true", help="the parts of the recipe")
    parser.add_argument("--run", action="append", default=[], metavar="SET=RUN")
    parser.add_argument("--lm-minutes", type=float, default=10.0)
    parser.add_argument("--tokenizer", default="word")
    help = "a setting of every classifier, as of charlm.finetune_classifier"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help=help)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    runs = dict(each.split("=", 1) for each in arguments.run)
    chosen = {"threads": arguments.threads} | {
        name: json.loads(value) for name, value in (e.split("=", 1) for e in arguments.set)
    }
    print(_head(arguments.recipes))
    for name in arguments.sets:
        labelled = SETS[name](arguments.data, arguments.work)
        run = Path(runs.get(name) or language_model(name, labelled, arguments))
        table = recipe_rows if arguments.recipes else label_rows
        for row in table(name, labelled, run, chosen, arguments):
            print(f"| {' | '.join(row)} |", flush=True)


def _head(recipes: bool) -> str:
    columns = (
        ["set", "recipe", "accuracy", "macro F1", "macro F1 - baseline (95 %)"]
        if recipes
        else ["set", "labels", "figure", "transferred", "from scratch", "baseline",
              "words, unlabelled too", "both together", "transferred - baseline",
              "together - baseline"]
    )  # fmt: skip
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"


def language_model(name: str, labelled: LabelledSet, arguments: argparse.Namespace) -> Path:
    """A run on the set's text to pretrain on, trained once."""
    run: Path = arguments.work / f"{name}-{arguments.tokenizer}"
    if not (run / "summary.json").exists():
        charlm.train(
            labelled.lm_texts,
            run,
            minutes=arguments.lm_minutes,
            tokenizer=arguments.tokenizer,
            threads=arguments.threads,
            resume=(run / "config.toml").exists(),
            **labelled.tokenizing,
        )
    return run


def once(path: Path, work: Callable[[], Any]) -> Any:
    """The result of `work`, kept in a file."""
    if not path.exists():
        path.write_text(json.dumps(work()), encoding="utf-8")
    return json.loads(path.read_text("utf-8"))


def label_rows(
    name: str,
    labelled: LabelledSet,
    run: Path,
    chosen: Mapping[str, Any],
    arguments: argparse.Namespace,
) -> list[list[str]]:
    """A row a number of labels and figure."""
    division = labelled.division
    whole = len(division.train)
    counts = sorted(
        {whole if each == "all" else min(int(each), whole) for each in arguments.labels}
    )
    out = arguments.work / f"{name}-curve"

    def curve() -> Any:
        summary = charlm.finetune_classifier(
            run,
            None if (out / "config.toml").exists() else division.train,
            out,
            valid=division.valid,
            test=division.test,
            curve=CurveRequest(counts, [], arguments.repeats),
            resume=(out / "config.toml").exists(),
            **chosen,
        )
        return summary["learning_curve"]

    key = "-".join(map(str, (name, arguments.repeats, *counts)))
    rows = []
    for point in once(arguments.work / f"{key}.json", curve)["points"]:
        for figure in ("accuracy", "macro_f1"):
            ways = ("transferred", "from_scratch", "baseline", "words", "together")
            cells = [_shown(point[way][figure]) if way in point else "" for way in ways]
            cells += [
                _difference(point[of]["baseline"][figure])
                for of in ("ahead_of", "together_ahead_of")
            ]
            rows.append([name, f"{point['labels']:,}", figure, *cells])
    return rows


def recipe_rows(
    name: str,
    labelled: LabelledSet,
    run: Path,
    chosen: Mapping[str, Any],
    arguments: argparse.Namespace,
) -> list[list[str]]:
    """A row a recipe, each compared with the baseline on the same test texts."""
    division = labelled.division
    parts = ("train", "valid", "test")
    texts = {part: [row.text for row in getattr(division, part)] for part in parts}
    labels = {part: np.array(division.numbers(part)) for part in parts}
    words = fit_words(
        texts["train"], labels["train"], len(division.classes), "none", 1,
        (texts["valid"], labels["valid"]),
    )  # fmt: skip
    theirs = words.probabilities(texts["test"]).argmax(axis=1)
    recipes = RECIPES | {"from scratch": _sizes(run) | labelled.tokenizing}
    rows = []
    for recipe, changes in recipes.items():
        results = [
            once(
                arguments.work / f"{name}-{recipe}-{seed}.json".replace(" ", "_"),
                partial(
                    _one,
                    "none" if recipe == "from scratch" else run,
                    labelled,
                    {**chosen, **changes, "seed": seed},
                    arguments.work / "one",
                ),
            )
            for seed in range(1, arguments.repeats + 1)
        ]
        ours = np.array([[division.classes.index(a) for a in r["answers"]] for r in results])
        found = paired_bootstrap(labels["test"], ours, theirs, seed=1)["macro_f1"]
        figures = [mean_interval([r[key] for r in results]) for key in ("accuracy", "macro_f1")]
        cells = [_shown(figure) for figure in figures]
        rows.append([name, recipe, *cells, _difference(found | {"mean": found["difference"]})])
    return rows


def _sizes(run: Path) -> dict[str, Any]:
    """The settings that make a network like RUN's, from nothing."""
    config = charlm.load(run).config
    own = {"cell", "layers", "hidden_size", "embedding_size", "last_hidden_size", "nonlinearity"}
    settings = {key: getattr(config.model, key) for key in own if config.model.cell == "rnn"
                or key != "nonlinearity"}  # fmt: skip
    return settings | {"tokenizer": config.tokenizer.tokenizer}


def _one(
    run: str | Path, labelled: LabelledSet, settings: Mapping[str, Any], out: Path
) -> dict[str, Any]:
    """Train one classifier; its figures and its answers on the test texts."""
    division = labelled.division
    summary = charlm.finetune_classifier(
        run, division.train, out, valid=division.valid, test=division.test, baseline=False,
        force=True, **settings,
    )  # fmt: skip
    model = charlm.load(out)
    assert isinstance(model, charlm.ClassifierModel)
    answers = [found.label for found in model.classify([row.text for row in division.test])]
    shutil.rmtree(out)
    return {key: summary["test"][key] for key in ("accuracy", "macro_f1")} | {"answers": answers}


def _shown(found: Mapping[str, Any]) -> str:
    if found["low"] is None:
        return f"{found['mean']:.3f}"
    return f"{found['mean']:.3f} ± {found['high'] - found['mean']:.3f}"


def _difference(found: Mapping[str, Any]) -> str:
    points = f"{100 * found['mean']:+.1f}"
    if found["low"] is None:
        return points
    return f"{points} ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"


if __name__ == "__main__":
    main()
