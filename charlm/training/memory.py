"""Memory that is used again from step to step, and not given back in between.

Each step makes and drops the same large arrays. glibc takes each from the kernel and gives it back,
and the kernel clears it, page by page: a seventh of a GRU's step and a quarter of a step at 33,278
words went there (scripts/LOG.md).

A save and an evaluation need other and larger blocks than a step. Among those of the steps they
would leave gaps that are seldom large enough for the next one, so that the heap would grow in
stairs with nothing in it: they take their own from the kernel, and give them back.
"""

import contextlib
import ctypes
from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3)
_DEFAULTS = {_TRIM_THRESHOLD: 128 * 1024, _MMAP_MAX: 65536}
_kept = False


def keep(kept: bool = True) -> None:
    """From now on this process keeps what it frees, or again does not; only where glibc is."""
    global _kept
    library = ctypes.CDLL(None)
    if not (hasattr(library, "mallopt") and hasattr(library, "malloc_trim")):
        return
    _kept = kept
    library.mallopt(_MMAP_MAX, 0 if kept else _DEFAULTS[_MMAP_MAX])
    library.mallopt(_TRIM_THRESHOLD, 2**31 - 1 if kept else _DEFAULTS[_TRIM_THRESHOLD])
    if not kept:
        library.malloc_trim(0)


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """What is done inside keeps nothing that it frees; before and after, what is free is given
    back."""
    if not _kept:
        yield
        return
    keep(False)
    try:
        yield
    finally:
        keep(False)  # small blocks come from the heap all the same
        keep()
