"""metrics.jsonl: whole lines only, no step twice after a resume, no training lost to it."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_faults import failing_call

from charlm.errors import RunError
from charlm.runs.metrics import MetricsLog, read_metrics, truncate_after


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def fail(message: str) -> None:
    raise AssertionError(message)


def test_records_come_back_exactly(path: Path):
    log = MetricsLog(path, fail)
    records = [{"step": n, "nats_per_token": 1.1 / (n + 1), "split": "valid"} for n in range(5)]
    assert all(log.append(record) for record in records)
    assert read_metrics(path) == records
    assert path.read_bytes().count(b"\n") == 5


def test_no_file_is_no_records(path: Path):
    assert read_metrics(path) == []
    truncate_after(path, 3)
    assert not path.exists()


@given(
    steps=st.lists(st.integers(0, 9), max_size=8),
    after=st.integers(-1, 10),
    cut=st.integers(0, 30),
)
@settings(deadline=None, max_examples=60)
def test_a_resume_keeps_what_it_will_not_repeat(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], after: int, cut: int
):
    path = tmp_path_factory.mktemp("m") / "metrics.jsonl"
    log = MetricsLog(path, fail)
    lines = []
    for step in sorted(steps):
        log.append({"step": step, "text": "é\u2028\n"})
        lines.append(path.read_bytes()[sum(map(len, lines)) :])
    whole = b"".join(lines)
    torn = whole[: max(0, len(whole) - cut)]
    path.write_bytes(torn)
    survivors, length = [], 0
    for step, line in zip(sorted(steps), lines, strict=True):
        length += len(line)
        if length <= len(torn):
            survivors.append((step, line))
    assert [r["step"] for r in read_metrics(path)] == [step for step, _ in survivors]
    truncate_after(path, after)
    assert path.read_bytes() == b"".join(line for step, line in survivors if step <= after)
    assert os.listdir(path.parent) == ["metrics.jsonl"]


def test_a_failing_append_warns_once_and_leaves_no_half_line(path: Path):
    warnings: list[str] = []
    log = MetricsLog(path, warnings.append)
    assert log.append({"step": 1})
    for number in (1, 2):
        with failing_call(number, errno.ENOSPC) as failed:
            assert not log.append({"step": 2})
        assert failed
    assert log.append({"step": 3})
    assert [record["step"] for record in read_metrics(path)] == [1, 3]
    assert len(warnings) == 1 and str(path) in warnings[0] and "No space" in warnings[0]


def test_a_value_that_is_no_json_stops_nothing(path: Path):
    warnings: list[str] = []
    log = MetricsLog(path, warnings.append)
    assert not log.append({"step": 1, "loss": float("nan")})
    assert not log.append({"step": 1, "loss": object()})
    assert log.append({"step": 2}) and read_metrics(path) == [{"step": 2}]
    assert len(warnings) == 1


@pytest.mark.parametrize("line", [b"{", b"", b"[]", b'{"a": 1}', b'{"step": "1"}', b"\xff",
                                  b'{"step": 1, "step": 2}', b'{"step": true}'])  # fmt: skip
def test_a_damaged_line_is_named(path: Path, line: bytes):
    content = b'{"step": 1}\n' + line + b'\n{"step": 3}\n'
    path.write_bytes(content)
    for use in (read_metrics, lambda path: truncate_after(path, 1)):
        with pytest.raises(RunError) as caught:
            use(path)
        assert str(path) in caught.value.what and "line 2" in caught.value.what
    assert path.read_bytes() == content
