"""SIGTERM while a text is being read for evaluation: 143, and nothing of the text left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def test_evaluate_leaves_no_temporary_files(tiny_run: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "charlm", "evaluate", str(tiny_run), "-"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert process.stdin is not None
    process.stdin.write(b"the patient slept well\n" * 100)
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()), "it never began to read"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    assert not list(tmp_path.iterdir())
    process.stdin.close()


def test_a_dry_run_goes_with_neither_resume_nor_force(tmp_path: Path) -> None:
    for option in ("--resume", "--force"):
        command = [sys.executable, "-m", "charlm", "train", "--dry-run", option]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 2 and option in done.stderr
