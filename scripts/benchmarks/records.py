"""The table of the race track in RECORDS.md: a row a record, the newest last."""

from dataclasses import dataclass, fields
from pathlib import Path

HEADING = "## The race track (`scripts/speedrun.py`)\n"
_COLUMNS = (
    "track",
    "seconds to the final save",
    "steps",
    "nats per token (valid), one stream",
    "by windows of 256",
    "more",
    "what changed",
    "machine",
    "commit",
)


@dataclass(frozen=True)
class Row:
    """A record, each of its cells as it is shown, in the order of the columns."""

    track: str
    seconds: str
    steps: str
    stateful: str
    windows: str
    more: str
    about: str
    machine: str
    commit: str

    def line(self) -> str:
        cells = (getattr(self, field.name).replace("|", "\\|") for field in fields(self))
        return f"| {' | '.join(cells)} |\n"

    def table(self) -> str:
        """The row under its headings."""
        return _head() + self.line().rstrip("\n")


def _head() -> str:
    return f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}\n"


def append(path: Path, row: Row) -> None:
    """Add a row at the end of the table, which is begun at the end of the file if need be."""
    text = path.read_text("utf-8")
    if HEADING not in text:
        text = f"{text.rstrip()}\n\n{HEADING}\n{_head()}"
    before, after = text.split(HEADING)
    section, next_heading, others = after.partition("\n## ")
    section = f"{section.rstrip()}\n{row.line()}"
    path.write_text(before + HEADING + section + next_heading + others, "utf-8")
