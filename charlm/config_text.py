"""The settings of the text: where it comes from, and how it becomes ids."""

from dataclasses import dataclass
from typing import Annotated

from charlm import registry
from charlm.settings import AUTO, Setting


@dataclass(frozen=True)
class Corpus:
    """Where the text comes from and how it is cut."""

    corpus: Annotated[
        str | None,
        Setting(
            "without TEXT: which of the corpora that come with charlm (none: clinical_notes)",
            choices=registry.CORPORA,
            none=True,
        ),
    ] = None
    valid: Annotated[str | None, Setting("text to validate on (file or folder)", none=True)] = None
    test: Annotated[str | None, Setting("text to test on (file or folder)", none=True)] = None
    valid_fraction: Annotated[
        float, Setting("share of the text to validate on: its tail", least=0, below=1)
    ] = 0.1
    test_fraction: Annotated[
        float, Setting("share of the text to test on: its very end", least=0, below=1)
    ] = 0.0
    encoding: Annotated[str, Setting("encoding of the text")] = "utf-8"
    errors: Annotated[
        str, Setting("what to do with bytes that are not text", choices=("strict", "replace"))
    ] = "strict"
    canaries: Annotated[
        int,
        Setting(
            "made-up secrets to plant in the training text, for charlm audit", least=0, most=100_000
        ),
    ] = 0


@dataclass(frozen=True)
class Tokenizer:
    """How text becomes ids."""

    tokenizer: Annotated[str, Setting("what a token is", choices=tuple(registry.TOKENIZERS))] = (
        "char"
    )
    vocab_size: Annotated[
        int,
        Setting(
            "most tokens, bytes and markers among them (word: 50,000; unigram and bpe: the square "
            "root of the text's characters, at most 16,000, beside bytes and alphabet)",
            least=1,
            most=1e6,
            auto=True,
        ),
    ] = AUTO
    min_count: Annotated[
        int,
        Setting("spell what is seen fewer times than this (char: 2, word: 3)", least=1, auto=True),
    ] = AUTO
    word_split: Annotated[
        str,
        Setting(
            "word: at whitespace, or at punctuation and numbers too (unicode)",
            choices=("unicode", "whitespace"),
            auto=True,
        ),
    ] = AUTO
    word_oov: Annotated[
        str,
        Setting(
            "word: spell rare and unseen words (auto: spell), or lose them and all whitespace as "
            "<unk> does in the literature",
            choices=("spell", "unk"),
            auto=True,
        ),
    ] = AUTO
    lowercase: Annotated[bool, Setting("make all letters small, which loses the capitals")] = False
