"""How a model is audited for what it repeats of its training text: what a person chooses.

What is done with it is in auditing.py; importing this file imports nothing heavy.
"""

from dataclasses import dataclass
from typing import Annotated

from charlm.settings import AUTO, Setting, read_settings


@dataclass(frozen=True)
class AuditSettings:
    """How much is written, how boldly, and how many other numbers stand beside a canary's.

    UsageError: a value outside its range.
    """

    samples: Annotated[int, Setting("texts that the model writes", least=2, most=100_000)] = 20
    length: Annotated[int, Setting("characters of each text", least=250, most=1_000_000)] = 1000
    temperature: Annotated[
        float, Setting("of the texts: as the model is going to be used", above=0)
    ] = 1.0
    canary_draws: Annotated[
        int, Setting("other numbers that each canary is compared with", least=100, most=1_000_000)
    ] = 2000
    encoding: Annotated[
        str, Setting("of the texts named here; auto: that of the text the run was trained on")
    ] = AUTO
    errors: Annotated[
        str,
        Setting(
            "what to do with invalid bytes; auto: as at its training",
            choices=(AUTO, "strict", "replace"),
        ),
    ] = AUTO
    seed: Annotated[int, Setting("of every random choice", least=0, most=2**63 - 1)] = 1

    def __post_init__(self) -> None:
        read_settings(self, "`charlm audit --help` shows every option with its range.")
