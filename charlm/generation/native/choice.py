"""How the compiled loop chooses a token: the filters that it knows, and their values as numbers."""

import numpy as np
import numpy.typing as npt

from charlm.generation.native import layout as m
from charlm.generation.settings import SamplingSettings
from charlm.registry import LOGIT_FILTERS

# Of `registry.LOGIT_FILTERS`, in its order; any other looks back, or is somebody's own.
KNOWN = ("temperature", "top_k", "top_p", "min_p", "typical_p")


def known(sampling: SamplingSettings) -> bool:
    """Whether no other filter stands between the model and the draw."""
    return all(getattr(sampling, name) is None for name in LOGIT_FILTERS if name not in KNOWN)


def choice_of(sampling: SamplingSettings, vocabulary: int) -> npt.NDArray[np.float64]:
    """The numbers of `layout`, with room to work in; a filter that is left out keeps everything."""
    numbers = np.empty(m.WORK + 3 * vocabulary)
    numbers[m.TEMPERATURE] = 0 if sampling.greedy else sampling.temperature
    numbers[m.TOP_K] = vocabulary if sampling.top_k is None else min(sampling.top_k, vocabulary)
    numbers[m.TOP_P] = 1 if sampling.top_p is None else sampling.top_p
    numbers[m.MIN_P] = np.log(np.float64(sampling.min_p)) if sampling.min_p else -np.inf
    numbers[m.TYPICAL_P] = 1 if sampling.typical_p is None else sampling.typical_p
    return numbers
