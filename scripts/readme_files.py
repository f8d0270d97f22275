"""The README's list of files, one line a file, from their docstrings.

python scripts/readme_files.py          rewrites it
python scripts/readme_files.py --check  exits with 1 if it is not up to date
"""

import ast
import re
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- files: made by scripts/readme_files.py -->\n", "<!-- end of files -->\n"
# The stations of the text on its way, in order; then what holds them together.
FOLDERS = (
    "storage",
    "text",
    "text/tokenizers",
    "model",
    "model/cells",
    "model/kernels",
    "training",
    "runs",
    "generation",
    "generation/native",
    "evaluation",
    "classifying",
    "report",
    "cli",
    "",
)
SCRIPTS = ("scripts/benchmarks", "scripts/clinical_notes", "scripts/public_corpora")


def first_line(path: Path) -> str:
    """What a file's docstring says it is."""
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    return (docstring or "").split("\n\n")[0].replace("\n", " ").split(" |")[0]


def table() -> str:
    """A Markdown table of each folder of charlm/ and of scripts/, to be unfolded."""
    folders = [f"charlm/{name}".rstrip("/") for name in FOLDERS]
    return "\n".join(folder_table(folder) for folder in (*folders, "scripts", *SCRIPTS))


def folder_table(folder: str) -> str:
    """The files of one folder, under what the folder is."""
    package = ROOT / folder / "__init__.py"
    purpose = (
        first_line(package) if package.exists() else "What makes corpora, figures and this list."
    )
    about = re.sub("`(.*?)`", r"<code>\1</code>", escape(purpose, quote=False))
    lines = [f"<details><summary><code>{folder}/</code>: {about}</summary>", ""]
    lines += ["| file | what it is |", "|---|---|"]
    for path in sorted((ROOT / folder).glob("*.py")):
        said = first_line(path)
        if said and path.name != "__init__.py":
            lines.append(f"| `{path.name}` | {said} |")
    return "\n".join([*lines, "", "</details>", ""])


def main() -> None:
    text = README.read_text("utf-8")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    new = head + BEGIN + table() + END + tail
    if "--check" in sys.argv[1:]:
        sys.exit(new != text)
    README.write_text(new, "utf-8")


if __name__ == "__main__":
    main()
