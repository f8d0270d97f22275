"""A file that cannot be put where --out says is refused before the work, not after it."""

import os
from pathlib import Path

import pytest

from charlm.errors import UsageError
from charlm.storage.places import require_file_place
from contract.command import call

WORDS = {
    "embed": (".npy", lambda run, text: (run, text)),
    "look": (".svg", lambda run, text: (run, text)),
    "report": (".html", lambda run, text: (run,)),
    "plot": (".svg", lambda run, text: (run,)),
    "compare": (".png", lambda run, text: (run, run)),
    "gradients": (".svg", lambda run, text: (run,)),
    "forecast": (".svg", lambda run, text: (run, text)),
    "quantise": (".words", lambda run, text: (text,)),
}


@pytest.mark.parametrize("verb", WORDS)
def test_verbs_refuse_it_before_they_work(
    verb: str, tiny_run: Path, tiny_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending, words = WORDS[verb]
    folder = tmp_path / f"folder{ending}"
    folder.mkdir()

    def works(*how: object) -> None:
        raise AssertionError("it worked first")

    for name in ("load", "story", "history", "compare", "gradients"):
        monkeypatch.setattr(f"charlm.api.{name}", works, raising=False)
    for place in (tmp_path / "nowhere" / f"x{ending}", folder):
        done = call(verb, *words(tiny_run, tiny_text), "-o", place)
        assert done.code == 2 and str(place) in done.err, done.err
        assert list(folder.iterdir()) == []


def test_what_is_wrong_with_a_place(tmp_path: Path) -> None:
    plain, link = tmp_path / "plain", tmp_path / "link"
    plain.touch()
    link.symlink_to(plain)
    assert require_file_place(link) == plain == require_file_place(plain)
    assert require_file_place(tmp_path / "new") == tmp_path / "new"
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", "/dev/null", plain / "x", tmp_path):
        with pytest.raises(UsageError):
            require_file_place(place)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="may not be written"):
        require_file_place(tmp_path / "x")
