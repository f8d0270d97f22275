"""What is shown of a text: nothing steers a terminal, everything can stand in a picture."""

from html import escape
from xml.etree import ElementTree

from charlm.report.output import one_line, visible

EVERY = "".join(chr(code) for code in range(0x11_0000) if not 0xD800 <= code < 0xE000)


def test_all_that_is_visible_can_stand_in_xml() -> None:
    found = ElementTree.fromstring(f"<a>{escape(visible(EVERY))}</a>").text
    assert found == visible(EVERY)


def test_what_cannot_be_seen_is_named() -> None:
    assert visible("a\x1b[31m\u202e\uffff\n\tb") == "a\\x1b[31m\\u202e\\uffff\n\tb"
    assert one_line("a\n\t\\") == "a\\n\\t\\\\"
    assert visible("é漢😀\xa0") == "é漢😀\xa0"
