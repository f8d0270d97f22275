"""What charlm needs, with versions and licences, as a table: docs/dependencies.md.

python scripts/dependencies.py          writes it, from what is installed
python scripts/dependencies.py --check  exits with 1 if a pin of constraints.txt is missing in it
"""

import re
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "dependencies.md"
HEAD = """# Dependencies

Written by `scripts/dependencies.py` from the metadata of what is installed. "needed by": charlm
itself, an extra of it, or another package.

| package | version | licence | needed by |
|---|---|---|---|
"""
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def pins() -> dict[str, str]:
    """Package and version, as constraints.txt has them."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(package: str) -> str:
    """The licence expression, else its classifiers, else the first line of what it says."""
    found = metadata.metadata(package)
    if "License-Expression" in found:
        return str(found["License-Expression"])
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in found.get_all("Classifier") or []
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    ]
    if classifiers:
        return ", ".join(classifiers)
    said = found.get_all("License") or ["not stated"]
    return str(said[0]).strip().splitlines()[0][:60]


def needed_by(names: list[str]) -> dict[str, set[str]]:
    """For each package, who asks for it."""
    known = {canonical(name) for name in names}
    found: dict[str, set[str]] = {name: set() for name in known}
    for name in ["charlm", *names]:
        for requirement in metadata.requires(name) or []:
            match = _NAME.match(requirement)
            wanted = canonical(match[0]) if match else ""
            extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", requirement)
            if wanted not in known or (extra and name != "charlm"):
                continue
            found[wanted].add(f"charlm[{extra[1]}]" if extra else name)
    return found


def table() -> str:
    asked = needed_by(list(pins()))
    rows = [
        " | ".join([f"| {name}", version, licence(name), ", ".join(sorted(asked[canonical(name)]))])
        + " |"
        for name, version in sorted(pins().items(), key=lambda pin: canonical(pin[0]))
    ]
    return HEAD + "\n".join(rows) + "\n"


def main() -> None:
    if "--check" not in sys.argv[1:]:
        TABLE.write_text(table(), "utf-8")
        return
    written = TABLE.read_text("utf-8")
    missing = [n for n, v in pins().items() if f"| {n} | {v.partition('+')[0]}" not in written]
    if missing:
        sys.exit(f"docs/dependencies.md lacks {', '.join(missing)}: run scripts/dependencies.py")


if __name__ == "__main__":
    main()
