"""Memory that is used again from step to step, and not given back in between.

Each step makes and drops the same large arrays. glibc takes each from the kernel and gives it back,
and the kernel clears it, page by page: a seventh of a GRU's step and a quarter of a step at 33,278
words went there (scripts/LOG.md).

A save and an evaluation need larger blocks than a step, and what they leave between a step's arrays
is seldom large enough for the next one: the heap grew in stairs, with nothing in it. So after each
save all that is free is given back.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3)
_DEFAULTS = {_TRIM_THRESHOLD: 128 * 1024, _MMAP_MAX: 65536}


def keep(kept: bool = True) -> None:
    """From now on this process keeps what it frees, or again does not; only where glibc is."""
    library = ctypes.CDLL(None)
    if not (hasattr(library, "mallopt") and hasattr(library, "malloc_trim")):
        return
    library.mallopt(_MMAP_MAX, 0 if kept else _DEFAULTS[_MMAP_MAX])
    library.mallopt(_TRIM_THRESHOLD, 2**31 - 1 if kept else _DEFAULTS[_TRIM_THRESHOLD])
    if not kept:
        give_back()


def give_back() -> None:
    """The pages of all that is free now, wherever in the heap it lies; only where glibc is."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
