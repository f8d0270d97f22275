"""The list of dependencies has every pin."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_has_every_pin_with_a_licence():
    script = ROOT / "scripts" / "dependencies.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 40
    for _, name, _, licence, _, _ in rows:
        assert licence.strip() not in ("", "not stated", "UNKNOWN"), name
