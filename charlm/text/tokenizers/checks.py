"""What tokenizers check of what they are given: ids, settings, files, text."""

from collections.abc import Mapping
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from charlm.errors import DataError, RunError, UsageError

DESCRIPTION = "tokenizer.json"
FORMAT = 1


def checked_ids(ids: npt.ArrayLike, vocabulary_size: int) -> npt.NDArray[np.intp]:
    """`ids` as indices; ValueError where one is outside the vocabulary."""
    found = np.atleast_1d(np.asarray(ids, np.intp))
    if found.size and not (found.min() >= 0 and found.max() < vocabulary_size):
        raise ValueError(f"token ids must be in 0..{vocabulary_size - 1}")
    return found


def checked_min_count(given: int | None, default: int) -> int:
    """`given` or the default; UsageError below 1."""
    least = default if given is None else given
    if least < 1:
        raise UsageError(
            f"--min-count {least} is out of range: it must be at least 1.",
            f"Leave it out for the default, {default}.",
        )
    return least


def refuse_lone_surrogate(problem: UnicodeEncodeError) -> NoReturn:
    """DataError for the half of a surrogate pair that a str may hold and UTF-8 cannot."""
    code = ord(problem.object[problem.start])
    raise DataError(
        f"The text has a lone surrogate, U+{code:04X}, at character {problem.start}; "
        "no UTF-8 text can hold it.",
        "Remove it, or replace it by U+FFFD.",
    ) from problem


def exact_files(files: Mapping[str, bytes], *names: str) -> tuple[bytes, ...]:
    """The contents of the files `names`, which must be there and alone; RunError otherwise."""
    if set(files) != set(names):
        raise damaged(
            f"tokenizer/ holds {', '.join(sorted(files)) or 'nothing'}; needed: "
            f"{' and '.join(names)}, alone."
        )
    return tuple(files[name] for name in names)


def damaged(what: str) -> RunError:
    """The error for files that no tokenizer wrote."""
    return RunError(what, "Restore the run from a copy, or train again.")
