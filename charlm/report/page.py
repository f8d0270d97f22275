"""A page of HTML in one file: no script, nothing from elsewhere, light or dark as the reader's
screen, as wide as it is. Whatever a person wrote is shown as it is written."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from charlm.report.figure_table import shown
from charlm.report.output import visible

_CSS = """
:root { color-scheme: light dark; --ink: #23272e; --paper: #ffffff; --line: #d8dce2;
  --soft: #f4f5f7; }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe3e8; --paper: #15181c; --line: #363c44;
  --soft: #1e2228; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
svg { width: 28rem; max-width: 100%; height: auto; vertical-align: top; }
.two svg { width: 56rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .8rem .15rem 0; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
details { margin: .4rem 0; } summary { cursor: pointer; }
pre, .text { background: var(--soft); padding: .7rem; white-space: pre-wrap; margin: .3rem 0;
  font: .85rem/1.6 ui-monospace, monospace; }
.text span { padding: .1rem 0; }
.soft { opacity: .75; font-size: .9rem; }
"""


def written(text: str) -> str:
    """Any text as HTML; what could steer a reader is escaped twice over."""
    return escape(visible(text.replace("\r\n", "\n")))


def page(title: str, body: Sequence[str]) -> str:
    """The whole document."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Even a mistake of ours could load or run nothing.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
        f"<title>{written(title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n"
        f"<h1>{written(title)}</h1>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def section(title: str, *parts: str) -> str:
    return f"<section>\n<h2>{written(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{written(text)}</p>' if kind else f"<p>{written(text)}</p>"


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{written(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{written(shown(value))}</td>" for value in row) + "</tr>\n"
        for row in rows
    )
    header = f"<tr>{head}</tr>\n" if any(headings) else ""
    return f'<div class="wide"><table>\n{header}{body}</table></div>'


def folded(title: str, content: str) -> str:
    """Something to be opened by whoever wants to see it."""
    return f"<details><summary>{written(title)}</summary>\n{content}\n</details>"


def pairs(values: Mapping[str, Any]) -> str:
    return table(("", ""), list(values.items()))
