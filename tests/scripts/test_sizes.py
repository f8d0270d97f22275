"""scripts/sizes.py: what it trains, and the table it prints of it."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import sizes

PRESETS = Path(sizes.charlm.__file__).parent / "presets"


def test_every_preset_of_texts_has_its_level():
    named = {way.get("preset") for level in sizes.WAYS.values() for way in level.values()}
    presets = {path.stem for path in PRESETS.glob("*.toml")}
    assert named - {None} == presets - {"series"}
    assert all(next(iter(level)) == "auto" for level in sizes.WAYS.values())


def test_a_row_a_way_the_same_text_for_all_and_done_once(tmp_path, monkeypatch, capsys):
    text, trained = tmp_path / "some.txt", []
    text.write_bytes("\ufeffab\r\nc é and more".encode())
    shapes = {"layers": 1, "hidden_size": 8, "batch_size": 2, "bptt": 3}
    parts = SimpleNamespace(**shapes)
    config = SimpleNamespace(model=parts, optimisation=parts)
    monkeypatch.setattr(sizes.charlm, "load", lambda out: SimpleNamespace(config=config))

    def train(texts, out, **settings):
        trained.append((texts[0].read_bytes(), settings))
        return {"valid": {"nats_per_token": 2.0 + len(trained) / 4}, "epochs": 1.5}

    monkeypatch.setattr(sizes.charlm, "train", train)
    words = f"sizes.py {text} --characters 6 --levels pieces --minutes 0.5 --seeds 1 2 --threads 1"
    monkeypatch.setattr(sys, "argv", [*words.split(), "--work", str(tmp_path / "work")])
    sizes.main()
    first = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in first.splitlines()[2:]]
    chosen = "1 x 8, 2 x 3"
    assert rows == [
        ["some.txt", "6", "pieces", "auto", chosen, "1.5", "2.375 (2.250, 2.500)", ""],
        ["some.txt", "6", "pieces", "--preset subword", chosen, "1.5", "2.875 (2.750, 3.000)",
         "+0.500"],
    ]  # fmt: skip
    assert {content for content, _ in trained} == {b"ab\r\nc "}
    given = [(settings.get("preset"), settings["seed"], settings["minutes"], settings["threads"])
             for _, settings in trained]  # fmt: skip
    assert given == [(None, 1, 0.5, 1), (None, 2, 0.5, 1), ("subword", 1, 0.5, 1),
                     ("subword", 2, 0.5, 1)]  # fmt: skip
    sizes.main()
    assert capsys.readouterr().out == first and len(trained) == 4
    kept = sorted((tmp_path / "work").glob("*.json"))
    assert len(kept) == 4 and json.loads(kept[0].read_text())["characters"] == 6
