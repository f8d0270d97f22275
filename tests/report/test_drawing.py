"""Pictures: the same bytes each time, whatever people name their runs, in SVG, PNG and pages."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from charlm.errors import MachineError, UsageError
from charlm.report.drawing import inline_svg, legend, panels, style, write_picture
from report.pictures import curves, texts

HOSTILE = [
    "_hidden",
    "$x^2$ & <b>",
    "a\"b'c",
    "\x1b[31m\u202e",
    "$\\frac{",
    "\udcff",
    "李 白",
    ' id="x" href="#33383f"',
]


def picture(names=("a",)):
    figure, axes = panels(["$one$ <&>", "two", "three"])
    with style():
        lines = [axes[0].plot([0, 1, 2], [n, n + 1, n])[0] for n in range(len(names))]
        legend(axes[0], lines, names)
    return figure


def test_the_same_picture_is_the_same_file(tmp_path: Path) -> None:
    for suffix in (".svg", ".png", ".PNG"):
        written = []
        for number in range(2):
            path = tmp_path / f"{number}{suffix}"
            write_picture(picture(), path)
            written.append(path.read_bytes())
        assert written[0] == written[1]
    assert (tmp_path / "0.png").read_bytes()[:4] == b"\x89PNG"


def test_names_stand_in_the_picture_as_they_are(tmp_path: Path) -> None:
    write_picture(picture(HOSTILE), tmp_path / "a.svg")
    svg = (tmp_path / "a.svg").read_text("utf-8")
    wanted = [*HOSTILE[:3], "\\x1b[31m\\u202e", HOSTILE[4], "?", *HOSTILE[6:]]
    shown = [text for text in texts(svg) if text in [name.strip() for name in wanted]]
    assert shown == [name.strip() for name in wanted]
    assert "$one$ <&>" in texts(svg)
    assert len(curves(svg)) >= len(HOSTILE)


def test_a_page_can_hold_several_of_them() -> None:
    found = [inline_svg(picture(HOSTILE), f"p{n}", 'the "course" <of>') for n in range(2)]
    root = ElementTree.fromstring(f"<div>{''.join(found)}</div>")
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert len(ids) == len(set(ids)) > 0
    page = "".join(found)
    for name in re.findall(r'(?:url\(|<use[^>]*href=")#([^")]+)', page):
        assert name in ids
    first = root[0]
    assert first.get("aria-label") == 'the "course" <of>'
    assert first.get("width") is None and first.get("viewBox")
    assert "currentColor" in page and page.count("#33383f") == 2 and "#ffffff" not in page


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.pdf is to be a picture"):
        write_picture(picture(), tmp_path / "a.pdf")
    with pytest.raises(MachineError, match=r"nowhere"):
        write_picture(picture(), tmp_path / "nowhere" / "a.svg")
