"""Every exit code, by a process that ends with it, and what it says and does not say."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from contract.command import QUICK, Finished, Process, charlm, plain

SECRET = "Rumpelstilzchen"


@pytest.fixture(scope="module")
def secret_text(tmp_path_factory: pytest.TempPathFactory, tiny_text: Path) -> Path:
    """The tiny text with a name in it that nobody may read in a log."""
    path = tmp_path_factory.mktemp("secret") / "notes.txt"
    lines = tiny_text.read_text("utf-8").splitlines(keepends=True)
    for place in range(0, len(lines), 10):
        lines[place] = f"{SECRET} came to ward four.\n"
    path.write_text("".join(lines), "utf-8")
    return path


def few_lines(finished: Finished) -> None:
    """An error is a few lines, the first of which says what happened."""
    lines = finished.err.splitlines()
    assert sum(line.startswith("Error: ") for line in lines) == 1
    assert len(lines) <= 4
    assert "Traceback" not in finished.err


def test_0_done(tiny_run: Path) -> None:
    done = plain("generate", tiny_run, "the ", "--length", "5")
    assert done.returncode == 0
    assert done.stderr == b""


def test_1_full_device(tiny_run: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        for arguments in (
            ("generate", tiny_run), ("evaluate", tiny_run, "--json"), ("info", tiny_run)
        ):  # fmt: skip
            failed = charlm(*arguments, stdout=full)
            assert failed.code == 1, arguments
            assert "standard output" in failed.err and "No space left" in failed.err
            assert "Traceback" not in failed.err
    finally:
        os.close(full)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("train", "--help")])
def test_1_full_device_for_help(arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        import subprocess

        failed = plain(*arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert failed.returncode == 1
    assert b"No space left" in failed.stderr
    assert b"Traceback" not in failed.stderr


def _fail_with_memory() -> None:
    _fail_with(MemoryError())


def _fail_with_a_bug() -> None:
    _fail_with(ZeroDivisionError(SECRET))


def _fail_with(error: Exception) -> None:
    from charlm import api

    def load(run: object) -> None:
        raise error

    api.load = load  # type: ignore[assignment]


def test_1_out_of_memory() -> None:
    failed = charlm("generate", "run", prepare=_fail_with_memory)
    assert failed.code == 1
    few_lines(failed)
    assert "memory" in failed.err and "--hidden-size" in failed.err


def test_1_our_own_bug_shows_no_text_without_debug() -> None:
    failed = charlm("generate", "run", prepare=_fail_with_a_bug)
    assert failed.code == 1
    few_lines(failed)
    assert "bug" in failed.err and "--debug" in failed.err
    assert SECRET not in failed.err
    shown = charlm("generate", "run", "--debug", prepare=_fail_with_a_bug)
    assert shown.code == 1
    assert "Traceback" in shown.err and f"ZeroDivisionError: {SECRET}" in shown.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("bogus",),
        ("train", "--bogus"),
        ("train",),
        ("generate",),
        ("train", "--out", "run", "--layers", "0"),
        ("generate", "run", "a prompt", "--prompts", "file"),
        ("train", "-", "-", "--out", "run"),
    ],
    ids=" ".join,
)
def test_2_usage(arguments: tuple[str, ...]) -> None:
    refused = plain(*arguments)
    assert refused.returncode == 2
    assert refused.stdout == b""
    assert b"Traceback" not in refused.stderr and refused.stderr


def test_2_names_the_nearest_option() -> None:
    assert b"--hidden-size" in plain("train", "--hiden-size", "3").stderr


def test_2_place_that_is_no_run(tmp_path: Path, tiny_text: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.doc").write_text("mine")
    for force in ((), ("--force",)):
        refused = charlm("train", tiny_text, "--out", tmp_path / "mine", *QUICK, *force)
        assert refused.code == 2
        few_lines(refused)
        assert os.listdir(tmp_path / "mine") == ["letter.doc"]


def bad_text(folder: Path, name: str) -> list[str]:
    """Arguments of `train` with a text that cannot be read."""
    path = folder / "text.txt"
    contents = {
        "empty": b"",
        "too short": b"abc",
        "invalid UTF-8": f"{SECRET}\nab\xe9\n".encode("latin-1"),
        "damaged gzip": b"\x1f\x8b\x08",
    }
    if name == "missing":
        return [str(folder / "nothing.txt")]
    if name == "empty folder":
        return [str(folder)]
    if name == "damaged gzip":
        path = folder / "text.txt.gz"
    path.write_bytes(contents[name])
    return [str(path)]


@pytest.mark.parametrize(
    "name",
    ["missing", "empty folder", "empty", "too short", "invalid UTF-8", "damaged gzip"],
)
def test_3_text(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    arguments = bad_text(tmp_path / "in", name)
    failed = charlm("train", *arguments, "--out", tmp_path / "run", *QUICK)
    assert failed.code == 3
    few_lines(failed)
    assert SECRET not in failed.err
    if name == "invalid UTF-8":  # line 2, after the 16 bytes of the first line and two more
        assert "line 2" in failed.err and "byte offset 18" in failed.err and "0xE9" in failed.err


def test_3_and_the_same_command_again(tmp_path: Path, tiny_text: Path) -> None:
    """A run that never began is not in the way of one that does."""
    out = tmp_path / "run"
    assert charlm("train", tmp_path / "nothing.txt", "--out", out, *QUICK).code == 3
    assert charlm("train", tmp_path / "nothing.txt", "--out", out, "--resume", *QUICK).code == 3
    assert charlm("train", tiny_text, "--out", out, *QUICK).code == 0
    assert charlm("train", tiny_text, "--out", out, *QUICK).code == 2


@pytest.mark.parametrize("verb", ["evaluate", "score"])
def test_3_missing_text_to_read(verb: str, tiny_run: Path, tmp_path: Path) -> None:
    failed = charlm(verb, tiny_run, tmp_path / "nothing.txt")
    assert failed.code == 3
    few_lines(failed)
    assert "nothing.txt" in failed.err


def test_3_exported_file_has_no_text_of_its_own(tiny_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "tiny.charlm"
    assert charlm("export", tiny_run, file).code == 0
    failed = charlm("evaluate", file)
    assert failed.code == 3
    few_lines(failed)


@pytest.mark.parametrize("verb", ["generate", "evaluate", "score", "info"])
def test_4_no_run(verb: str, tmp_path: Path) -> None:
    failed = charlm(verb, tmp_path / "nothing", stdin=b"text\n")
    assert failed.code == 4
    assert "nothing does not exist" in failed.err and "Traceback" not in failed.err
    assert failed.out == ""


def test_4_names_the_nearest_run(tiny_run: Path) -> None:
    assert f"Did you mean {tiny_run}?" in charlm("info", f"{tiny_run}s").err


def test_4_pickle(tmp_path: Path) -> None:
    import pickle

    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps({"weights": [1.0]}))
    failed = charlm("generate", path)
    assert failed.code == 4
    few_lines(failed)
    assert "pickle" in failed.err


def test_4_other_folder(tmp_path: Path) -> None:
    failed = charlm("generate", tmp_path)
    assert failed.code == 4
    few_lines(failed)


def test_5_diverged(tmp_path: Path, secret_text: Path) -> None:
    out = tmp_path / "run"
    failed = charlm(
        "train", secret_text, "--out", out, *QUICK, "--steps", "300", "--lr", "10000",
        "--weight-decay", "100", "--clip-norm", "none", "--warmup-steps", "0", "--schedule",
        "constant", "--eval-every", "1000",
    )  # fmt: skip
    assert failed.code == 5
    assert "diverged at step" in failed.err and "--lr" in failed.err
    assert "Traceback" not in failed.err and SECRET not in failed.err
    for name in ("best", "last"):
        assert not (out / "checkpoints" / name).exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["130", "143"]
)
def test_interrupted_after_saving(
    number: signal.Signals, code: int, tmp_path: Path, secret_text: Path
) -> None:
    out = tmp_path / "run"
    arguments = ["train", secret_text, "--out", out, *QUICK, "--steps", "100000"]
    arguments += ["--report-every", "1", "--eval-every", "100000"]
    process = Process(*arguments)
    deadline = time.monotonic() + 30
    while "step=5 " not in process.err() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, number)
    ended = process.wait()
    assert ended.code == code
    assert ended.out == ""
    message = ended.err[ended.err.index("interrupted by") :]
    assert f"charlm train --resume --out {out}" in message
    assert "Traceback" not in message and SECRET not in message
    saved = int(os.readlink(out / "checkpoints/last"))
    assert saved >= 5
    went_on = charlm("train", "--resume", "--out", out, "--steps", str(saved + 2), "--json")
    assert went_on.code == 0
    assert json.loads(went_on.out)["steps"] == saved + 2


@pytest.mark.parametrize("words", [("finetune-classify", "none", "-", "--csv"), ("train", "-")])
def test_interrupted_while_a_text_is_waited_for(words: tuple[str, ...], tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"text,label\nthe heart beats,heart\n")
    out = tmp_path / "run"
    process = Process(*words, "--out", out, stdin=read_end)
    time.sleep(3)  # until it waits
    os.kill(process.pid, signal.SIGTERM)
    ended = process.wait()
    os.close(write_end)
    assert ended.code == 143 and not out.exists(), ended.err


def test_interrupted_while_generating(tiny_run: Path) -> None:
    read_end, write_end = os.pipe()
    process = Process("generate", tiny_run, "--length", "10000000", stdout=write_end)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        assert pipe.read(10)
        os.kill(process.pid, signal.SIGINT)
        pipe.read()
    ended = process.wait()
    assert ended.code == 130
    assert "Traceback" not in ended.err


def test_secret_stays_in_the_text(tmp_path: Path, secret_text: Path) -> None:
    """Samples, the tokens and the tokenizer aside, nothing of a text is written anywhere."""
    out = tmp_path / "run"
    done = charlm("train", secret_text, "--out", out, *QUICK, "--json", "-v")
    assert done.code == 0
    assert SECRET not in done.out
    assert SECRET not in done.err
    looked_at = 0
    for path in out.rglob("*"):
        apart = path.relative_to(out).parts[0] in ("samples", "cache", "tokenizer")
        if path.is_file() and not apart:
            assert SECRET.encode() not in path.read_bytes(), path
            looked_at += 1
    assert looked_at >= 5
    bad = tmp_path / "bad.txt"
    bad.write_bytes(SECRET.encode() + b"\xff")
    for arguments in (
        ("train", secret_text, "--out", out),
        ("train", bad, "--out", tmp_path / "other"),
        ("train", secret_text, "--out", out, "--resume", "--hidden-size", "9"),
        ("evaluate", out, bad),
        ("score", out, bad),
        ("generate", out, "--prompts", bad),
        ("score", out, tmp_path),
        ("generate", out, "--prompts", tmp_path / "nothing"),
    ):
        failed = charlm(*arguments)
        assert failed.code > 1, arguments
        assert SECRET not in failed.err
