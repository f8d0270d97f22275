"""No network, a HOME that cannot be written, LANG=C: everything from training to scoring works."""

import functools
import os
import socket
import sys

import pytest
from contract.command import QUICK, charlm

REFUSED = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname",
           "socket.sendto")  # fmt: skip


def alone(home):
    """Refuse every use of the network, and every change in `home`."""
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def hook(event, args):
        if event in REFUSED:
            os.write(2, b"\nNETWORK " + event.encode())
            os._exit(66)
        writing = event == "open" and isinstance(args[0], str) and args[2] & writes
        if (writing or event == "os.mkdir") and str(args[0]).startswith(home):
            raise PermissionError(13, "Permission denied", args[0])

    sys.addaudithook(hook)


def use_the_network(home):
    alone(home)
    socket.create_connection(("127.0.0.1", 9))


@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_all_verbs_work_alone(folder, tmp_path, tokenizer):
    home = tmp_path / "home"
    home.mkdir()
    run, file = folder / "run", folder / "model.charlm"
    environment = {"HOME": str(home), "LANG": "C", "LC_ALL": "C", "XDG_CACHE_HOME": str(home)}
    text = folder / "text.txt"
    size = ["--vocab-size", "300"] if tokenizer == "bpe" else []
    for number, arguments in enumerate(
        (
            ["train", text, "--out", run, *QUICK, "--tokenizer", tokenizer, *size],
            ["generate", run, "Ωμέγα", "--length", "3"],
            ["train", "--resume", "--out", run, "--steps", "4"],
            ["evaluate", run, "--dynamic", "--cache", "--counts"],
            ["score", run, text],
            ["export", run, file],
            ["info", file],
            ["verify", run],
            ["doctor"],
        )
    ):
        if tokenizer == "bpe" and number > 1:
            break  # what reads a run does not know how its tokens came to be
        ended = charlm(
            *arguments, environment=environment, prepare=functools.partial(alone, str(home))
        )
        assert ended.code == 0, (arguments, ended.err)
        assert "NETWORK" not in ended.err
    assert list(home.iterdir()) == []


def test_the_refusal_is_real(tmp_path):
    ended = charlm("--version", prepare=functools.partial(use_the_network, str(tmp_path)))
    assert ended.code == 66 and "NETWORK socket." in ended.err
