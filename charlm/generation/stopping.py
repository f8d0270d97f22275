"""Stop texts in a stream of pieces: hold back what may become one."""

from collections.abc import Sequence


class StopHolder:
    """Lets text through up to the first stop text, wherever the borders of its pieces fall.

    The first is the one that ends first, as a stop text ends the writing the moment it is
    complete; of several that end together, the longest. `stopped` says that it was met: it
    and what follows it are never let through.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._longest = max((len(stop) for stop in stops), default=1)
        self._held = ""
        self.stopped = False

    def feed(self, piece: str) -> str:
        """What can be let through now that `piece` has come."""
        if self.stopped:
            return ""
        text = self._held + piece
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)[1]]
        keep = len(text) - self._possible_start(text)
        self._held = text[keep:]
        return text[:keep]

    def finish(self) -> str:
        """What was held back, as nothing more comes."""
        held, self._held = self._held, ""
        return held

    def _possible_start(self, text: str) -> int:
        """Length of the longest end of `text` that a stop text begins with."""
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0
