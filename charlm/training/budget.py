"""How much of the budget is used up, by whichever limit comes first."""

import time
from dataclasses import dataclass, field

MOST_STEPS = 10**12  # what --steps allows


def steps_allowed(steps: int | None, epochs: float | None, windows_per_epoch: int) -> int | None:
    """The last step by whichever limit comes first; None where there is none."""
    limits = [] if steps is None else [steps]
    if epochs is not None:
        limits.append(max(1, min(MOST_STEPS, round(epochs * windows_per_epoch))))
    return min(limits) if limits else None


@dataclass
class Budget:
    """Limits in epochs, steps and seconds; None where there is no limit.

    `started` is the moment the command started, on the clock of time.monotonic; `spent`
    the seconds that earlier processes of the same run took.
    """

    epochs: float | None
    steps: int | None
    seconds: float | None
    windows_per_epoch: int
    started: float
    spent: float = 0.0
    reserve: float = field(default=0.0)  # seconds that the last save will take

    def elapsed(self) -> float:
        """Seconds since the run began, resumed parts included."""
        return self.spent + time.monotonic() - self.started

    def last_step(self) -> int | None:
        """The number of steps that epochs and steps allow, None where only the clock counts."""
        return steps_allowed(self.steps, self.epochs, self.windows_per_epoch)

    def progress(self, step: int) -> float:
        """Share of the budget used before `step`, 0 to 1; 1 ends the run.

        Without a limit in seconds it does not look at the clock: same steps, same run.
        """
        shares = []
        last = self.last_step()
        if last is not None:
            shares.append(step / last)
        if self.seconds is not None:
            usable = max(self.seconds - self.reserve, 1e-9)
            shares.append(self.elapsed() / usable)
        return min(1.0, max(shares))
