"""How a gradient is followed back through time: what a person chooses.

What is done is in evaluation/gradient_flow.py; importing this file imports nothing heavy.
"""

from dataclasses import dataclass
from typing import Annotated

from charlm.settings import Setting, read_settings

HELP = "`charlm gradients --help` shows every option with its range."


@dataclass(frozen=True)
class GradientSettings:
    """UsageError: a value outside its range."""

    steps: Annotated[int, Setting("time steps to go back", least=2, most=2000)] = 100
    streams: Annotated[
        int, Setting("places of the text to begin at, side by side", least=1, most=1000)
    ] = 16
    clip_norm: Annotated[float, Setting("longest gradient, by its norm", above=0, most=1e9)] = 1.0

    def __post_init__(self) -> None:
        read_settings(self, HELP)


@dataclass(frozen=True)
class FreshSettings:
    """Networks that have learned nothing yet. UsageError: a value outside its range."""

    hidden_size: Annotated[int, Setting("hidden units of each network", least=1, most=4096)] = 64
    seed: Annotated[int, Setting("of the first weights", least=0, most=2**63 - 1)] = 1

    def __post_init__(self) -> None:
        read_settings(self, HELP)
