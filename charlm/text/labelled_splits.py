"""Train, valid and test parts of labelled texts: stratified, no near-duplicates on two sides.

Of each class, each part gets its fraction as nearly as whole texts allow; groups of
near-duplicates (text/near_duplicates.py) stay together, and every class keeps at least one
text to train on. Where parts are files of their own, the texts of `train` that are
near-duplicates of one in `valid` or `test` are left out, and those of `valid` that are of one
in `test`: what is measured on is never shortened.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from charlm.draws import Draws
from charlm.errors import DataError
from charlm.text.decoding import Say
from charlm.text.labelled import LabelledRow, listed
from charlm.text.near_duplicates import groups_of_near_duplicates
from charlm.text.splits import PARTS, exact_fractions

MOST_CLASSES: Final = 500

Rows = Sequence[LabelledRow]


@dataclass(frozen=True)
class Division:
    """The parts, and the classes in the order of their numbers: sorted by name."""

    train: list[LabelledRow]
    valid: list[LabelledRow]
    test: list[LabelledRow]
    classes: tuple[str, ...]

    def numbers(self, part: str) -> list[int]:
        """The class of each text of a part, as its place in `classes`."""
        place = {name: number for number, name in enumerate(self.classes)}
        return [place[row.label] for row in getattr(self, part) if row.label is not None]


def divide(
    train: Rows,
    valid: Rows | None,
    test: Rows | None,
    valid_fraction: str | float,
    test_fraction: str | float,
    seed: int,
    say: Say,
) -> Division:
    """The parts of labelled texts; a part given as rows keeps them, and its fraction is of no use.

    Says how many near-duplicates there are and what is done about them, and which classes have
    a single text. DataError: fewer than 2 or more than MOST_CLASSES classes, or a label in
    valid or test that no training text has.
    """
    given = {"train": train, "valid": valid, "test": test}
    rows = [row for part in PARTS for row in given[part] or ()]
    side = [part for part in PARTS for _ in given[part] or ()]
    groups = groups_of_near_duplicates([row.text for row in rows])
    _say_contradictions(rows, groups, say)
    rows, side, groups = _without_leaks(rows, side, groups, say)

    fractions = exact_fractions(
        valid_fraction if valid is None else 0, test_fraction if test is None else 0
    )
    quotas = {part: f for part, f in zip(("valid", "test"), fractions, strict=True) if f}
    own = [number for number, part in enumerate(side) if part == "train"]
    if train and not own:
        raise DataError(
            f"All {len(train):,} training texts are near-duplicates of texts to measure on, and "
            "none is left to learn from.",
            "Measure on other texts.",
        )
    labels = [str(rows[number].label) for number in own]
    classes = _classes(labels, say)
    chosen = _assign(labels, [groups[number] for number in own], quotas, seed)
    for number, part in zip(own, chosen, strict=True):
        side[number] = part
    parts = {
        part: [row for row, at in zip(rows, side, strict=True) if at == part] for part in PARTS
    }
    for part in ("valid", "test"):
        _check_known(part, parts[part], classes)
    for part in quotas:
        if not parts[part]:
            raise DataError(
                f"No text of {len(own)} can be spared for {part}.",
                f"Give more texts, or --{part}-fraction 0.",
            )
    if quotas:
        _say_kept_together([groups[number] for number in own], say)
    return Division(**parts, classes=classes)


def _say_contradictions(rows: Rows, groups: Sequence[int], say: Say) -> None:
    """Labels that differ between texts that are the same, or nearly so."""
    first: dict[int, str | None] = {}
    differing = {
        group
        for group, row in zip(groups, rows, strict=True)
        if first.setdefault(group, row.label) != row.label
    }
    if differing:
        texts = sum(group in differing for group in groups)
        say(f"{texts:,} texts are near-duplicates of one with another label.")


def _without_leaks(
    rows: Rows, side: Sequence[str], groups: Sequence[int], say: Say
) -> tuple[list[LabelledRow], list[str], list[int]]:
    """Without the texts that a later part has too, in nearly the same words."""
    latest: dict[int, int] = {}
    for part, group in zip(side, groups, strict=True):
        latest[group] = max(latest.get(group, 0), PARTS.index(part))
    kept = [
        number
        for number, (part, group) in enumerate(zip(side, groups, strict=True))
        if latest[group] == PARTS.index(part)
    ]
    left_out = Counter(side)
    left_out.subtract(side[number] for number in kept)
    for part, count in left_out.items():
        if count:
            later = " or ".join(PARTS[PARTS.index(part) + 1 :])
            say(f"{count:,} texts of {part} left out: near-duplicates of texts in {later}.")
    return [rows[n] for n in kept], [side[n] for n in kept], [groups[n] for n in kept]


def _classes(labels: Sequence[str], say: Say) -> tuple[str, ...]:
    counts = Counter(labels)
    if len(counts) < 2:
        raise DataError(
            f"The training texts have {len(counts)} class(es); needed: at least 2.",
            "Check --label-column.",
        )
    if len(counts) > MOST_CLASSES:
        raise DataError(
            f"The {len(labels):,} training texts have {len(counts):,} different labels; "
            f"needed: at most {MOST_CLASSES} classes.",
            "Check --label-column: is it a number or a text of its own for each row?",
        )
    single = sum(count == 1 for count in counts.values())
    if single:
        say(f"{single:,} of {len(counts):,} classes have one text only: it is for training.")
    return tuple(sorted(counts))


def _check_known(part: str, rows: Rows, classes: Sequence[str]) -> None:
    known = set(classes)
    unseen = [f"row {row.row}" for row in rows if row.label not in known]
    if unseen:
        raise DataError(
            f"{len(unseen):,} {part} texts have a label that no training text has (near-"
            f"duplicates of what is measured on are none): {listed(unseen)}.",
            "Leave them out, or add training texts of their classes.",
        )


def _say_kept_together(groups: Sequence[int], say: Say) -> None:
    sizes = [size for size in Counter(groups).values() if size > 1]
    if sizes:
        say(
            f"{sum(sizes):,} texts are near-duplicates of others, in {len(sizes):,} groups: "
            "each group stays in one part."
        )


def _assign(
    labels: Sequence[str], groups: Sequence[int], fractions: dict[str, Fraction], seed: int
) -> list[str]:
    """The part of each text. Groups, large ones first and else in random order, go to a part
    with the probability that a text of their class has to be wanted there, among all of the
    class not yet given away; where a part cannot take all of a group, it is trained on.
    """
    draw = Draws(seed, 0).numpy("labelled split")
    left = Counter(labels)
    wanted = _quotas(left, fractions, draw)
    members: dict[int, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    drawn = list(members.values())
    drawn = [drawn[number] for number in draw.permutation(len(drawn))]
    drawn.sort(key=len, reverse=True)
    parts = ["train"] * len(labels)
    for places, chance in zip(drawn, draw.random(len(drawn)).tolist(), strict=True):
        own = Counter(labels[place] for place in places)
        usual = own.most_common(1)[0][0]
        for part, quota in wanted.items():
            share = quota[usual] / left[usual]
            if chance < share and own <= quota:
                quota -= own
                for place in places:
                    parts[place] = part
                break
            chance -= share
        left -= own
    return parts


def _quotas(
    totals: Counter[str], fractions: dict[str, Fraction], draw: np.random.Generator
) -> dict[str, Counter[str]]:
    """How many texts of each class each part wants: its fraction, by largest remainders."""
    names = sorted(totals)
    quotas = {}
    for part, fraction in fractions.items():
        shares = {name: totals[name] * fraction for name in names}
        quota = Counter({name: int(share) for name, share in shares.items()})
        ties = dict(zip(names, draw.random(len(names)).tolist(), strict=True))
        order = sorted(names, key=lambda name: (quota[name] - shares[name], ties[name]))
        missing = max(1, round(totals.total() * fraction)) - quota.total()
        quota.update(order[:missing])
        quotas[part] = quota
    for name in names:  # one text of every class is for training
        while sum(quota[name] for quota in quotas.values()) >= totals[name]:
            max(quotas.values(), key=lambda quota: quota[name])[name] -= 1
    return quotas
