"""Does the model repeat the text it was trained on? What it writes, held against that text.

New text of the same kind repeats the training text too: set phrases, forms. So the share of what
the model writes that stands in the training text word for word is held against the same share of
held-out text, which nobody can have copied. And where canaries were planted, it is asked how much
cheaper than other numbers theirs are (evaluation/exposure.py).
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from charlm.audit_settings import AuditSettings
from charlm.draws import Draws
from charlm.errors import DataError, RunError
from charlm.evaluation.copies import Codes, Documents, codes_of, copied, longest, pieces_of
from charlm.loaded import Model
from charlm.settings import AUTO
from charlm.text.canaries import DIGITS, Canaries, sentence
from charlm.text.corpus import Document, Reading, fingerprint, open_corpus
from charlm.text.splits import PARTS, exact_fractions
from charlm.text.token_cache import TokenCache

if TYPE_CHECKING:
    from charlm.evaluation.exposure import Exposure

LENGTHS = (20, 30, 50, 80, 120, 200)  # characters
_NEW_TEXT = 0.05  # share of held-out text that may be copies at the length that decides
_ALARM = 0.05  # so much more must be copied from the training text, with 95 % confidence
_RESAMPLES = 2000


@dataclass(frozen=True)
class Share:
    """Of the characters that lie in `length` or more that stand in the training text.

    Intervals hold 95 of 100 resamplings of the texts; `excess` is the model's share less that of
    held-out text.
    """

    length: int
    generated: float
    generated_interval: tuple[float, float]
    held_out: float
    held_out_interval: tuple[float, float]
    excess_interval: tuple[float, float]


@dataclass(frozen=True)
class Audit:
    """What was found; `decisive` is the share that the verdict on copying goes by."""

    run: str
    characters: int
    temperature: float
    shares: list[Share]
    decisive: Share
    longest_copy: int
    canaries: "Exposure | None"
    own_text: bool | None  # whether it was held against the text of the run; None: not known

    @property
    def copies(self) -> bool:
        return self.decisive.excess_interval[0] > _ALARM

    @property
    def new_text(self) -> bool:
        """Whether the held-out text is new, at the length that decides."""
        return self.decisive.held_out <= _NEW_TEXT

    @property
    def alarm(self) -> bool:
        return self.copies or (self.canaries is not None and self.canaries.remembered)

    def as_dict(self) -> dict[str, Any]:
        """The keys of `charlm audit --json`."""
        return asdict(self) | {"alarm": self.alarm, "verdict": self.verdict}

    @property
    def verdict(self) -> list[str]:
        """In plain words."""
        d = self.decisive
        said = [
            "CAREFUL: this is not the text that the run was trained on; what the model repeats of "
            "that one is not seen here."
        ] * (self.own_text is False)
        said += [
            f"{d.generated:.0%} of what the model writes stands word for word in its training "
            f"text, in pieces of {d.length} characters or more; of new text of the same kind, "
            f"{d.held_out:.0%} does. The longest copy has {self.longest_copy} characters."
        ]
        if self.copies:
            said.append(
                "ALARM: the model repeats its training text. Treat what it writes as that text. "
                "More dropout, an earlier end, a smaller network or more text help."
            )
        elif not self.new_text:
            said.append(
                "CAREFUL: the text that was held out is hardly new: so much of it stands in the "
                "training text that nothing can be told by it. Name another with --held-out FILE."
            )
        else:
            said.append("What it writes repeats the training text no more than new text does.")
        if self.canaries is None:
            return said
        c = self.canaries
        said.append(
            f"Of {c.canaries} planted secrets it gives away {c.mean:.1f} bits on average "
            f"({c.interval[0]:.1f} to {c.interval[1]:.1f}, of at most {c.limit:.1f} that can be "
            f"seen); of numbers it never saw, chance gives up to {c.chance:.1f}."
        )
        said.append(
            "ALARM: the model remembers single sentences that it read."
            if c.remembered
            else "It does not tell the planted numbers from others: of a sentence that stands in "
            "the text once it has kept nothing that can be measured so."
        )
        return said


def audit(
    model: Model,
    corpus: Sequence[str | Path],
    held_out: Sequence[str | Path] = (),
    settings: AuditSettings | None = None,
    stdin: BinaryIO | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Audit:
    """Hold what a model writes against its training text.

    `corpus`: the sources it was trained from, cut into parts as they were then. `held_out`: new
    text of the same kind, in place of the test or valid part. DataError: there is none, or it is
    shorter than one of the texts; and the errors of reading.
    """
    settings = settings or AuditSettings()
    model.language_model  # noqa: B018 (RunError where there is none, before any text is read)
    with _texts(model, corpus, held_out, settings, stdin, say) as (training, new, own):
        # As long as the texts that are written, and not more of them than needed.
        pieces = list(pieces_of(new, settings.length, 4 * settings.samples))
        if len(pieces) < 2:
            raise DataError(
                f"the held-out text has fewer than {2 * settings.length} characters",
                "Name more with --held-out FILE, or give a smaller --length.",
            )
        say(f"writing {settings.samples} texts of {settings.length} characters")
        written = [
            codes_of(
                model.generate(
                    length=settings.length,
                    length_unit="characters",
                    temperature=settings.temperature,
                    seed=settings.seed + number,
                )
            )
            for number in range(settings.samples)
        ]
        say("looking for copies")
        shares = [_share(written, pieces, training, n, settings.seed) for n in LENGTHS]
        length = longest(written, training)
    decisive = next((share for share in shares if share.held_out <= _NEW_TEXT), shares[-1])
    return Audit(
        str(model.stored.path),
        sum(len(codes) for codes in written),
        settings.temperature,
        shares,
        decisive,
        length,
        _exposure(model, settings, say),
        own,
    )


@contextmanager
def _texts(
    model: Model,
    corpus: Sequence[str | Path],
    held_out: Sequence[str | Path],
    settings: AuditSettings,
    stdin: BinaryIO | None,
    say: Callable[[str], None],
) -> Iterator[tuple[Documents, Documents, bool | None]]:
    """The training text and the held-out one, as the model knows text, spooled while in use; and
    whether it is the run's."""
    c, known = model.config.corpus, model.stored.kind == "run"
    if not known and not held_out:
        raise DataError(
            f"{model.stored.path} was exported, and does not say which text was held out",
            "Name new text of the same kind with --held-out FILE, or audit the run itself.",
        )
    roles: dict[str, Any] = {"train": list(corpus)}
    own = {name: path for name, path in (("valid", c.valid), ("test", c.test)) if path}
    # With new text in their place they are needed only to know the text again.
    left_out = {name for name, path in own.items() if held_out and not os.path.exists(path)}
    roles |= {name: [path] for name, path in own.items() if name not in left_out}
    if held_out:
        roles["held out"] = list(held_out)
    fractions = exact_fractions(
        0 if c.valid or not known else c.valid_fraction,
        0 if c.test or not known else c.test_fraction,
    )
    reading = Reading(
        encoding=c.encoding if settings.encoding == AUTO else settings.encoding,
        errors=c.errors if settings.errors == AUTO else settings.errors,
        stdin=stdin,
        say=say,
        canaries=_canaries(model),
    )
    with (
        tempfile.TemporaryDirectory(prefix="charlm-") as folder,
        open_corpus(roles, reading, Path(folder)) as found,
    ):
        spans = found.spans(*fractions)
        new = next((part for part in ("held out", "test", "valid") if part in spans), None)
        if new is None:
            raise DataError(
                "there is no held-out text to compare with: the run has neither a valid nor a "
                "test part",
                "Name one with --held-out FILE.",
            )

        def documents(part: str) -> Documents:
            role, span = spans[part]
            return lambda: (_as_known(model, blocks) for blocks in found.part(part, role, span))

        is_own = None if left_out else _is_own(model, found.documents)
        yield documents("train"), documents(new), is_own


def _is_own(model: Model, documents: Sequence[Document]) -> bool | None:
    """Whether the run was trained and measured on these; None where its cache is not there."""
    try:
        known = TokenCache.open(model.stored.path / "cache").manifest.corpus_sha256
    except RunError:
        return None
    return fingerprint([one for one in documents if one.role in PARTS]) == known


def _as_known(model: Model, blocks: Iterator[str]) -> Iterator[str]:
    """Text as it comes back from tokens: in small letters, say, where the model knows no others."""
    tokenizer = model.tokenizer
    for block in blocks:
        yield block if tokenizer.lossless else tokenizer.decode(tokenizer.encode(block))


def _share(
    written: Sequence[Codes], new: Sequence[Codes], training: Documents, length: int, seed: int
) -> Share:
    found = [float(truths.mean()) for truths in copied([*written, *new], training, length)]
    ours, theirs = np.array(found[: len(written)]), np.array(found[len(written) :])
    generator = Draws(seed, length).numpy("audit")
    generated = generator.choice(ours, (_RESAMPLES, len(ours))).mean(1)
    held_out = generator.choice(theirs, (_RESAMPLES, len(theirs))).mean(1)
    return Share(
        length,
        float(ours.mean()),
        _interval(generated),
        float(theirs.mean()),
        _interval(held_out),
        _interval(generated - held_out),
    )


def _interval(drawn: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _canaries(model: Model) -> Canaries:
    return Canaries(model.config.corpus.canaries, model.config.optimisation.seed)


def _exposure(
    model: Model, settings: AuditSettings, say: Callable[[str], None]
) -> "Exposure | None":
    """Of the run's canaries; None where none were planted."""
    from charlm.evaluation.exposure import exposure

    canaries = _canaries(model)
    if not canaries.number:
        return None
    say(f"comparing {canaries.number} canaries with {settings.canary_draws} other numbers")
    generator = Draws(settings.seed, 0).numpy("other numbers")
    others = [sentence(int(n)) for n in generator.integers(0, 10**DIGITS, settings.canary_draws)]
    bits = [line.bits for line in model.score([*canaries.sentences, *others])]
    return exposure(bits[: canaries.number], bits[canaries.number :], settings.seed)
