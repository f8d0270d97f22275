"""What a picture holds, read from its SVG."""

import re
from pathlib import Path
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    """Everything written in it, in order."""
    return [
        "".join(node.itertext()).strip() for node in ElementTree.fromstring(svg).iter(SVG + "text")
    ]


def curves(svg: str) -> list[list[tuple[float, float]]]:
    """The points of every line of data, in points of the picture."""
    found = []
    for group in ElementTree.fromstring(svg).iter(SVG + "g"):
        if not (group.get("id") or "").startswith("line2d_"):
            continue
        for path in group.findall(SVG + "path"):
            if "clip-path" in path.attrib and "stroke" in (path.get("style") or ""):
                points = re.findall(r"[ML] (\S+) (\S+)", path.get("d") or "")
                found.append([(float(x), float(y)) for x, y in points])
    return found


def read(path: Path) -> str:
    return path.read_text("utf-8")
