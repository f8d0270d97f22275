"""The table of faults: every row names tests that there are, and counts what was seen of them."""

import ast
from pathlib import Path
from types import SimpleNamespace

import faults_table
import pytest

TESTS = Path(__file__).parents[1]
ROWS = [row for rows in faults_table.ROWS.values() for row in rows]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.fault[:50])
def test_a_row_names_tests_that_exist(row):
    assert row.tests
    for name in row.tests:
        file, _, function = name.partition("::")
        tree = ast.parse((TESTS / file).read_text("utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert any(each.startswith("test_") for each in functions)
        assert not function or function in functions, name


def test_every_test_of_a_fault_is_in_a_row():
    named = {name.partition("::")[0] for row in ROWS for name in row.tests}
    ours = {f"faults/{path.name}" for path in (TESTS / "faults").glob("test_*.py")}
    assert ours - named <= {"faults/test_table.py"}


def test_tries_are_counted_and_a_failure_is_a_failure(monkeypatch):
    row = faults_table.Row("a fault", "what holds", ("a.py::test_x", "b.py"))
    monkeypatch.setattr(faults_table, "ROWS", {"Group": (row,)})
    monkeypatch.setattr(faults_table, "_seen", {})
    monkeypatch.setattr(faults_table, "_before", {})
    monkeypatch.setattr(faults_table, "_long", True)

    def report(name, **more):
        seen = {"nodeid": f"tests/{name}", "when": "call", "failed": False, "skipped": False,
                "user_properties": []}  # fmt: skip
        faults_table.pytest_runtest_logreport(SimpleNamespace(**(seen | more)))

    report("a.py::test_x[1]", user_properties=[("tries", 600)])
    report("a.py::test_x[2]")
    report("a.py::test_other")
    assert "| 601 | not run |" in faults_table.table()
    report("b.py::test_y", skipped=True)
    assert "| 601 | not run |" in faults_table.table()
    report("b.py::test_y")
    assert "| 602 | holds |" in faults_table.table()
    report("b.py::test_z", failed=True, when="setup")
    assert "| 602 | FAILED |" in faults_table.table()
    # What is run again, in a sitting of its own, counts anew; the rest stays as it was.
    monkeypatch.setattr(faults_table, "_before", faults_table._seen)
    monkeypatch.setattr(faults_table, "_seen", {})
    report("b.py::test_z")
    report("a.py::test_x[1]", user_properties=[("tries", 300)])
    assert "| 303 | holds |" in faults_table.table()
    monkeypatch.setattr(faults_table, "_long", False)
    report("b.py::test_y")
    assert "| 303 | holds (short) |" in faults_table.table()
