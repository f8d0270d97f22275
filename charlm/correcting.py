"""How boldly spelling is corrected: what a person chooses.

What is done with it is in evaluation/spelling.py; importing this file imports nothing heavy.
"""

from dataclasses import dataclass
from typing import Annotated

from charlm.settings import AUTO, Setting, read_settings

HELP = "`charlm correct --help` shows every option with its range."


@dataclass(frozen=True)
class CorrectionSettings:
    """UsageError: a value outside its range."""

    false_alarms: Annotated[
        float,
        Setting("share of a right text's words that may be changed", least=0, below=1),
    ] = 0.001
    threshold: Annotated[
        float,
        Setting(
            "nats that a correction must be better by than the word; auto: by --false-alarms",
            least=-1e6,
            most=1e6,
            auto=True,
        ),
    ] = AUTO
    most: Annotated[
        int, Setting("candidates of a word that are read in their context", least=1, most=1000)
    ] = 12

    def __post_init__(self) -> None:
        read_settings(self, HELP)
