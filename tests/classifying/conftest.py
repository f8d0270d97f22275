"""A language model and a classifier of it, which the tests share. Not to be changed."""

import pytest

import charlm
from classifying.tables import QUICK, SMALL, rows


def language_model(folder, words, **more):
    text = folder / "text.txt"
    text.write_text(words(2, 60) + "the heart of a bone is red\n" * 9, encoding="utf-8")
    settings = {"tokenizer": "word", "steps": 20, **SMALL, "threads": 1, "precision": "fp32"}
    charlm.train([text], folder / "lm", batch_size=4, bptt=8, **(settings | more))
    return folder / "lm"


@pytest.fixture(scope="session")
def lm(tmp_path_factory, words):
    return language_model(tmp_path_factory.mktemp("lm"), words)


@pytest.fixture(scope="session")
def lm_from_the_end(tmp_path_factory, words):
    return language_model(tmp_path_factory.mktemp("back"), words, direction="backward")


@pytest.fixture(scope="session")
def classifier(tmp_path_factory, lm):
    """(its run, its summary)"""
    out = tmp_path_factory.mktemp("classifier") / "run"
    summary = charlm.finetune_classifier(
        lm,
        rows(90),
        out,
        lm_epochs=1,
        test_fraction=0.2,
        **(QUICK | {"epochs": 10, "lr": 0.02, "dropout": 0}),
    )
    return out, summary
