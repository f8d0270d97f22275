"""Running text cut into its parts as the literature has them."""

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

from charlm.errors import DataError

PARTS = ("train", "valid", "test")
_CONTINUES = range(0x80, 0xC0)  # bytes of UTF-8 inside a character


def nine_tenths(sources: list[Path], folder: Path) -> list[str]:
    """train: the first floor(9 N / 10) of N bytes; valid: the rest."""
    data = sources[0].read_bytes()
    return _cut(data, {"train": len(data) * 9 // 10, "valid": len(data)}, folder)


def ninety_five_five(sources: list[Path], folder: Path) -> list[str]:
    """The one file of an archive: 90, 5 and 5 % of its bytes."""
    with zipfile.ZipFile(sources[0]) as archive:
        if len(archive.namelist()) != 1:
            raise DataError(
                f"{sources[0].name} holds {len(archive.namelist())} files; needed: one",
                "Give the archive as it is at its public address.",
            )
        data = archive.read(archive.namelist()[0])
    size = len(data)
    ends = {"train": size * 90 // 100, "valid": size * 95 // 100, "test": size}
    return _cut(data, ends, folder)


def three_in_an_archive(sources: list[Path], folder: Path) -> list[str]:
    """The files of an archive whose names have .train., .valid. and .test. in them, as they are."""
    with zipfile.ZipFile(sources[0]) as archive:
        for part in PARTS:
            name = _one(archive.namelist(), part, sources[0].name)
            with archive.open(name) as packed, (folder / f"{part}.txt").open("wb") as file:
                shutil.copyfileobj(packed, file)
    return []


def three_files(sources: list[Path], folder: Path) -> list[str]:
    """Train, valid and test, as they are."""
    for part, source in zip(PARTS, sources, strict=True):
        shutil.copyfile(source, folder / f"{part}.txt")
    return []


def _one(names: Iterable[str], part: str, archive: str) -> str:
    found = [name for name in names if f".{part}." in name.rsplit("/", 1)[-1]]
    if len(found) != 1:
        raise DataError(
            f"{archive} holds {len(found)} files named *.{part}.*; needed: one",
            "Give the archive as it is at its public address.",
        )
    return found[0]


def _cut(data: bytes, ends: dict[str, int], folder: Path) -> list[str]:
    """Parts that end at these bytes, or at the next character where one would be cut in two."""
    said, begin = [], 0
    for part, wanted in ends.items():
        end = wanted
        while end < len(data) and data[end] in _CONTINUES:
            end += 1
        if end != wanted:
            said.append(f"{part} ends {end - wanted} bytes later, where a character is whole")
        text = data[begin:end]
        if end == len(data) and (cut := _half_a_character(text)):
            said.append(f"{part} ends {cut} bytes sooner: the file ends inside a character")
            text = text[:-cut]
        (folder / f"{part}.txt").write_bytes(text)
        begin = end
    return said


def _half_a_character(text: bytes) -> int:
    """How many bytes at the end begin a character of UTF-8 and do not end it."""
    for back in range(1, min(4, len(text) + 1)):
        byte = text[-back]
        if byte in _CONTINUES:
            continue
        needed = 1 + (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0)
        return back if needed > back else 0
    return 0
