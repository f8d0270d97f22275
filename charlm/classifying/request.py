"""What a person asks for who wants a classifier."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from charlm.classifier_settings import ClassifierConfig
from charlm.text.labelled import LabelledRow, Layout

Data = str | Path | Sequence[LabelledRow]


@dataclass(frozen=True)
class CurveRequest:
    """A learning curve: numbers of labels, and shares of all; each is learned from so often."""

    counts: Sequence[int] = ()
    fractions: Sequence[float] = ()
    repeats: int = 5


@dataclass
class ClassifierRequest:
    """data, valid, test: tables, or rows that are at hand (None: on resuming; by the fractions).

    given: dotted keys of the settings that were given and not left to their defaults. The run to
    start from is `model.init_from` of the configuration. semantics: the files of what has been
    counted already in text without labels (`classifying.unlabelled`).
    """

    out: Path
    config: ClassifierConfig
    data: Data | None = None
    valid: Data | None = None
    test: Data | None = None
    layout: Layout = field(default_factory=Layout)
    given: Sequence[str] = ()
    resume: bool = False
    force: bool = False
    stdin: BinaryIO | None = None
    curve: CurveRequest | None = None
    semantics: Mapping[str, bytes] | None = None
    started: float = field(default_factory=time.monotonic)
