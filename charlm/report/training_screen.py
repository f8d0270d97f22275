"""Training as a person watches it: a bar, the validation figure and its course, small samples."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from charlm.report.console import Messages
from charlm.report.output import visible
from charlm.training.listener import Evaluation, Listener, Report

_READING_STEP = 20_000_000  # characters between two words about reading


class TrainingScreen(Listener):
    """Writes to standard error: a tqdm bar on a terminal, `key=value` lines elsewhere."""

    def __init__(self, messages: Messages, show_samples: bool = True) -> None:
        self.messages = messages
        self.show_samples = show_samples
        self._bar: Any = None
        self._read = 0
        self._choices: list[tuple[str, object, str]] = []
        self._drawn = 0.0

    def say(self, message: str) -> None:
        self._write(message)

    def reading(self, characters: int) -> None:
        before, self._read = self._read, self._read + characters
        if self._read // _READING_STEP > before // _READING_STEP:
            self._write(f"reading: {self._read / 1e6:.0f} million characters")

    def chosen(self, key: str, value: object, reason: str) -> None:
        self._choices.append((key, value, reason))

    def begin(self, step: int, last_step: int | None, seconds: float | None) -> None:
        self._show_choices()
        if self.messages.quiet or not self.messages.is_terminal:
            return
        from tqdm import tqdm

        with contextlib.suppress(OSError):
            self._bar = tqdm(
                total=1000,
                bar_format="{desc} {percentage:3.0f}%|{bar:24}| {elapsed}<{remaining} {postfix}",
                desc="training",
                dynamic_ncols=True,
                leave=False,
            )
        self._speed = self._nats = self._norm = 0.0
        self._last = (time.monotonic(), step)

    def step(self, step: int, progress: float, nats: float, gradient_norm: float) -> None:
        if self._bar is None or time.monotonic() - self._drawn < 0.1:
            return
        self._drawn = time.monotonic()
        self._bar.n = int(1000 * progress)
        tokens = f"{self._speed:,.0f}/s, " if self._speed else ""
        shown = f"{tokens}loss {nats:.3f} nats, gradient {gradient_norm:.2f}, step {step:,}"
        self._draw(lambda bar: bar.set_postfix_str(shown))

    def report(self, report: Report) -> None:
        self._speed = report.tokens_per_second
        if self._bar is None:
            self.messages.say(
                f"step={report.step} progress={report.progress:.3f} epoch={report.epoch:.2f} "
                f"seconds={report.seconds:.1f} nats_per_{report.unit}={report.nats:.4f} "
                f"lr={report.lr:.3g} gradient_norm={report.gradient_norm:.3f} "
                f"tokens_per_second={report.tokens_per_second:.0f}"
            )

    def evaluating(self, step: int) -> None:
        self._draw(lambda bar: bar.set_postfix_str("measuring"))

    def evaluated(self, evaluation: Evaluation) -> None:
        e, bits = evaluation, evaluation.bits_per_character
        if self._bar is None:
            self.messages.say(
                f"step={e.step} split=valid seconds={e.seconds:.1f} "
                f"nats_per_{e.unit}={e.nats:.4f} "
                + ("" if bits is None else f"bits_per_character={bits:.4f} ")
                + "".join(f"{name}={value:.4f} " for name, value in e.more.items())
                + f"best_step={e.best_step}"
            )
            return
        arrow = " "
        if e.previous is not None:
            arrow = "↓" if e.nats < e.previous else "↑"
        best = "best so far" if e.is_best else f"best was at step {e.best_step:,}"
        figures = f"{e.nats:.4f} nats per {e.unit}"
        if bits is not None:
            figures = f"{bits:.4f} bits per character ({figures})"
        for name, value in e.more.items():
            figures += f", {name.replace('_', ' ')} {value:.4f}"
        self._write(f"valid {arrow} {figures} after step {e.step:,}: {best}")

    def sample(self, step: int, text: str) -> None:
        if self.show_samples and not self.messages.quiet:
            for line in visible(text.replace("\r\n", "\n")).split("\n"):
                self._write("    │ " + line)

    def end(self) -> None:
        self._draw(lambda bar: bar.close())
        self._bar = None

    def _draw(self, draw: Callable[[Any], object]) -> None:
        """Do something with the bar, if there is one; not on a terminal that is gone, for that
        must not end the training."""
        if self._bar is None:
            return
        try:
            draw(self._bar)
        except (OSError, ValueError):
            self._bar.disable = True
            self._bar = None

    def _write(self, message: str) -> None:
        if self.messages.quiet:
            return
        if self._bar is None:
            self.messages.say(message)
        else:
            self._draw(lambda bar: bar.write(visible(message), file=bar.fp))

    def _show_choices(self) -> None:
        """What was left to charlm, a line a section, with the reasons."""
        sections: dict[str, dict[str, list[str]]] = {}
        for key, value, reason in self._choices:
            section, name = key.split(".")
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            names = sections.setdefault(section, {}).setdefault(reason, [])
            names.append(f"{name.replace('_', '-')} {shown}")
        for section, reasons in sections.items():
            chosen = "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())
            self.messages.say(f"chosen, {section}: {chosen}")
        self._choices = []
