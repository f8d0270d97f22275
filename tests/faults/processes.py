"""charlm as a process of its own, with a fault placed in it by the count of a function's calls.

The processes are forked from a server that has imported everything, which saves seconds each.
charlm knows nothing of this: the fault is put around one of its functions before it starts.
"""

import errno
import functools
import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

from reference.texts import english

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        *("charlm.cli.main", "charlm.training_run", "charlm.api", "charlm.evaluation.scoring"),
        *("rich.table", "torch._dynamo", "filelock", "tomli_w", "safetensors.numpy"),
    ]
)


@dataclass(frozen=True)
class Fault:
    """`action` happens just before call `number` (from 1) of `place`, "module:attribute"."""

    place: str
    number: int
    action: str
    path: str = ""

    def install(self):
        module, _, dotted = self.place.partition(":")
        *owners, name = dotted.split(".")
        owner = functools.reduce(getattr, owners, import_module(module))
        original, calls = getattr(owner, name), 0

        @functools.wraps(original)
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == self.number:
                changed = ACTIONS[self.action](self, lambda: original(*args, **kwargs))
                if changed is not None:
                    return changed
            return original(*args, **kwargs)

        setattr(owner, name, call)


@dataclass(frozen=True)
class NanAtFullRate:
    """The loss of step `step`, and the state it carries on, is not a number as long as the rate
    was not halved: training diverges at the same place in every process, and never in its retry.
    `also`: another fault."""

    step: int
    also: Fault | None = None

    def install(self):
        from charlm.training.loop import Loop

        taken = Loop._step

        def step(loop, progress):
            task = loop.task

            def loss(step):
                found = _times_nan(task.loss(step))
                nan = float("nan")
                task.state = tuple(tuple(part * nan for part in layer) for layer in task.state)
                return found

            if loop.state.lr_factor == 1 and loop.state.step == self.step - 1:
                loop.task = SimpleNamespace(loss=loss)
            try:
                taken(loop, progress)
            finally:
                loop.task = task

        Loop._step = step
        if self.also is not None:
            self.also.install()


def _times_nan(found):
    return found._replace(loss=found.loss * float("nan"))


def _signals(*numbers):
    def send(fault, call):
        for number in numbers:
            os.kill(os.getpid(), number)

    return send


def _wait(fault, call):
    """Say so by a file, and wait to be killed."""
    Path(fault.path).touch()
    time.sleep(60)
    os._exit(98)


def _edit(fault, call):
    Path(fault.path).write_text("something else\n")


def _not_a_number(fault, call):
    return _times_nan(call())


def _no_memory(fault, call):
    raise MemoryError


def _full(fault, call):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


ACTIONS = {
    "kill": _signals(signal.SIGKILL),
    "interrupt": _signals(signal.SIGINT),
    "interrupt twice": _signals(signal.SIGINT, signal.SIGINT),
    "terminate": _signals(signal.SIGTERM),
    "wait": _wait,
    "edit": _edit,
    "nan": _not_a_number,
    "disk full": _full,
    "no memory": _no_memory,
}


def _main(arguments, output, fault, read_only):
    for number, name in ((1, "out"), (2, "err")):
        descriptor = os.open(output / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.fsync = lambda descriptor: None  # slow, and processes die here, not machines
    import_module("charlm.training.precision")._SECONDS = 0.0  # nothing here asks what is fast
    if fault is not None:
        fault.install()
    if read_only is not None:
        sys.addaudithook(functools.partial(_refuse_changes, os.path.realpath(read_only)))
    from charlm.cli.main import main

    sys.argv = ["charlm", *map(str, arguments)]
    main()


_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link",
            "os.truncate", "os.chmod", "os.utime"}  # fmt: skip


def _refuse_changes(folder, event, args):
    """What a disk mounted read-only at `folder` answers, to whoever runs the tests."""
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
    if event in _CHANGES or (event == "open" and args[2] & writes):
        for path in args[:2]:
            if isinstance(path, str | bytes) and os.path.realpath(os.fsdecode(path)).startswith(
                folder
            ):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)


@dataclass
class Ended:
    """How a process ended: `code` is negative for a signal that killed it."""

    code: int
    out: str
    err: str


class Charlm:
    """A process that runs `charlm ARGUMENTS`; its output goes to files in `folder`."""

    def __init__(self, folder, *arguments, fault=None, read_only=None):
        self.output = Path(folder) / f"output-{time.monotonic_ns()}"
        self.output.mkdir()
        self.process = _SERVER.Process(
            target=_main, args=(arguments, self.output, fault, read_only)
        )
        self.process.start()

    @property
    def pid(self):
        return self.process.pid

    def ended(self, within=60):
        self.process.join(within)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            self.process.join()
        out, err = ((self.output / name).read_text() for name in ("out", "err"))
        assert code is not None, f"it did not end within {within} s: {err}"
        return Ended(code, out, err)


def charlm(folder, *arguments, **more):
    return Charlm(folder, *arguments, **more).ended()


STEPS = 17
# Every dropout and resets, so that all that is drawn must be drawn again; a report every 4
# steps, the last one odd; an evaluation every 5; a checkpoint after every step.
TRAINING = (
    "--steps", STEPS, "--hidden-size", 12, "--embedding-size", 8, "--layers", 2,
    "--batch-size", 3, "--bptt", 8, "--lr", 0.03, "--warmup-steps", 4,
    "--temporal-dropout", 0.2, "--output-dropout", 0.2, "--inter-layer-dropout", 0.2,
    "--reset-probability", 0.2, "--precision", "fp32", "--device", "cpu", "--threads", 1,
    "--eval-every", 5, "--report-every", 4, "--save-every", 0,
)  # fmt: skip


def corpus(folder):
    path = Path(folder) / "text.txt"
    path.write_text(english(40))
    return path


def train(folder, run, *more, fault=None):
    """`charlm train` of the corpus in `folder`."""
    return charlm(folder, "train", folder / "text.txt", "--out", run, *TRAINING, *more, fault=fault)


def resume(folder, run, *more, fault=None):
    return charlm(folder, "train", "--resume", "--out", run, *more, fault=fault)


def metrics(run):
    """The lines of metrics.jsonl but for what the clock says."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [
        {k: v for k, v in json.loads(line).items() if k not in ("seconds", "tokens_per_second")}
        for line in lines
    ]


def result(run):
    """All that must not depend on what happened on the way, by name."""
    found = {"metrics": metrics(run)}
    for link, groups in (("best", ("weights",)), ("last", ("weights", "optimizer", "carried"))):
        folder = run / "checkpoints" / link
        found[f"{link} step"] = os.readlink(folder)
        for group in groups:
            data = (folder / f"{group}.safetensors").read_bytes()
            found[f"{link} {group}"] = hashlib.sha256(data).hexdigest()
    summary = json.loads((run / "summary.json").read_text())
    for key in ("seconds", "tokens_per_second", "run"):
        del summary[key]
    return found | {"summary": summary}


def last_step(run):
    """The step that a resumed run goes on from; None without a checkpoint."""
    link = run / "checkpoints" / "last"
    return int(os.readlink(link)) if link.is_symlink() else None
