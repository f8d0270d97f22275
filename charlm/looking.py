"""How closely a person looks at what a model knows of a text: what they choose.

What is looked at is in evaluation/looking.py; importing this file imports nothing heavy.
"""

from dataclasses import dataclass
from typing import Annotated

from charlm.settings import Setting, read_settings

LONGEST = 20_000  # tokens that are looked at in one go
ENOUGH = 200 * LONGEST  # characters, in which there are more tokens than that
HELP = "`charlm look --help` shows every option with its range."


@dataclass(frozen=True)
class LookSettings:
    """UsageError: a value outside its range."""

    length: Annotated[
        int, Setting("tokens of the text that are shown, from its beginning", least=1, most=LONGEST)
    ] = 1000
    alternatives: Annotated[
        int, Setting("most probable tokens shown for each place", least=0, most=1000)
    ] = 0

    def __post_init__(self) -> None:
        read_settings(self, HELP)
