"""One thread everywhere, and the tiny trained run that the tests share."""

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Before anything imports a library that makes threads; processes that tests start inherit it.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
_ROOT = str(Path(__file__).parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join(
    part for part in (_ROOT, os.environ.get("PYTHONPATH")) if part
)

_TEXT = (
    "the patient came to ward four with pain and slept well after tea at noon she was seen by "
    "a nurse who gave water rest and bread"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the long sweeps of faults and inputs")


@pytest.fixture(scope="session")
def long_run(request: pytest.FixtureRequest) -> bool:
    """Whether sweeps run in full (`make faults`), or a few of each."""
    return bool(request.config.getoption("--long"))


def pytest_collection_finish() -> None:
    """Only where some test has imported torch: it takes seconds."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def words() -> Callable[[int, int], str]:
    """words(seed, lines): that many lines of our own making."""
    return _words


def _words(seed: int, lines: int) -> str:
    """Lines of eight words and a full stop, in ASCII but for a café in one line of twelve."""
    draw, known = random.Random(seed), _TEXT.split()

    def line() -> str:
        found = " ".join(draw.choice(known) for _ in range(8))
        return found + (" café.\n" if draw.random() < 0.08 else ".\n")

    return "".join(line() for _ in range(lines))


@pytest.fixture(scope="session")
def tiny_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 6,000 characters of text."""
    path = tmp_path_factory.mktemp("text") / "tiny.txt"
    path.write_text(_words(1, 150), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_run(tiny_text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 60 steps with 24 hidden units, a valid and a test part. Not to be changed."""
    import charlm
    from charlm.generation.native.build import steps

    run = tmp_path_factory.mktemp("runs") / "tiny"
    charlm.train(
        [tiny_text],
        run,
        steps=60,
        hidden_size=24,
        embedding_size=12,
        batch_size=4,
        bptt=16,
        lr=0.03,
        warmup_steps=5,
        test_fraction=0.1,
        precision="fp32",
        device="cpu",
        threads=1,
    )
    steps(lambda said: None)  # so that no command has to say that it compiles
    return run
