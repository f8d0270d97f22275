"""Very many lines through the verbs that answer line by line: in order, at once, in flat memory."""

import os
import re

import pytest
from classifying.tables import QUICK, SMALL, rows
from contract.command import Process, charlm

import charlm as library

MIB = 64  # that many lines may take more than few of them
LINES = {False: 6_000, True: 100_000}
TABS = {"score": 3, "classify": 2}  # before the line


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "it"
    settings = QUICK | SMALL | {"epochs": None, "steps": 2, "baseline": False}
    library.finetune_classifier("none", rows(60), out, **settings)
    return out


@pytest.fixture
def network(request, classifier, tiny_run):
    return tiny_run if request.node.callspec.params["verb"] == "score" else classifier


def memory(ended):
    assert ended.code == 0, ended.err
    return int(re.search(r"and (\d+) MiB of memory", ended.err)[1])


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("verb", TABS)
def test_order_is_kept_in_flat_memory(network, verb, long_run, record_property):
    count, tabs = LINES[long_run], TABS[verb]
    lines = [f"the patient slept {n}" if n % 7 else "" for n in range(count)]
    few, many = (
        charlm(verb, network, "-v", stdin="".join(f"{line}\n" for line in some).encode())
        for some in (lines[:2000], lines)
    )
    assert memory(many) < memory(few) + MIB
    found = many.stdout.decode().split("\n")[:-1]
    assert len(found) == count
    assert [line.split("\t", tabs)[tabs] for line in found] == lines
    record_property("tries", count)


@pytest.mark.parametrize("verb", [*TABS, "embed"])
def test_a_line_is_answered_before_the_next_one_comes(network, verb):
    asked, answers = os.pipe(), os.pipe()
    process = Process(verb, network, stdin=asked[0], stdout=answers[1])
    for descriptor in (asked[0], answers[1]):
        os.close(descriptor)
    with open(asked[1], "wb", buffering=0) as to, open(answers[0], "rb") as back:
        for n in range(3):
            to.write(f"the patient {n}\n".encode())
            assert back.readline().endswith(b"\n")
        to.close()
        assert back.read() == b""
    assert process.wait().code == 0
