"""Fetches a public corpus and cuts it as the literature does, for people with a network.

python scripts/get_corpus.py                                      the names
python scripts/get_corpus.py wikitext-2 --out data/wikitext-2     fetched
python scripts/get_corpus.py enwik8 --from enwik8.zip --out ...   from a file on this disk

A new --out appears whole or not at all. With --force the parts in one that is there are replaced,
each whole; other files in it stay.
"""

import argparse
import os
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from public_corpora.fetching import check, fetch, local
from public_corpora.known import CORPORA, PublicCorpus

from charlm.errors import CharlmError, DataError, UsageError
from charlm.report.console import error_text
from charlm.storage.atomic import machine_errors, partial_path, place_folder, remove


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="?", choices=CORPORA, metavar="NAME")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: data/NAME")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="PATH", help="the file, or a folder with them"
    )
    parser.add_argument("--sha256", metavar="HEX", help="what the one file must have")
    parser.add_argument("--force", action="store_true", help="overwrite the parts in FOLDER")
    return parser.parse_args(words)


def get(name: str, out: Path, source: Path | None, sha256: str | None, force: bool) -> None:
    """Make the parts of a corpus in `out`; the errors of charlm.errors."""
    corpus = CORPORA[name]
    if out.exists() and not force:
        raise UsageError(f"{out} is there already", "Give --force, or another --out.")
    if sha256 is not None and len(corpus.sources) > 1:
        raise UsageError("--sha256 is for a corpus of one file", "Leave it out.")
    temporary = partial_path(out)
    with machine_errors(out, "write"), tempfile.TemporaryDirectory() as folder:
        out.parent.mkdir(parents=True, exist_ok=True)
        remove(temporary)
        temporary.mkdir()
        try:
            said = _prepare(corpus, Path(folder), temporary, source, sha256)
            if out.exists():
                for path in temporary.iterdir():
                    os.replace(path, out / path.name)
            else:
                place_folder(temporary, out)
        finally:
            remove(temporary)
    for line in said:
        print(line)
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size:>13,}  {path}")
    print(f"Terms: {corpus.terms}.")
    print(f"Next: {_next(corpus, name, out)}")


def _prepare(
    corpus: PublicCorpus, folder: Path, out: Path, source: Path | None, sha256: str | None
) -> list[str]:
    if source is not None:
        files = local(corpus, source)
    else:
        files = [fetch(each, folder) for each in corpus.sources]
    said = []
    for each, path in zip(corpus.sources, files, strict=True):
        found = check(path, sha256 or each.sha256)
        known = "" if sha256 or each.sha256 else " (nothing to compare it with)"
        said.append(f"{path.name}: SHA-256 {found}{known}")
    try:
        return said + corpus.prepare(files, out)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, UnicodeDecodeError) as problem:
        raise DataError(
            f"{', '.join(path.name for path in files)} cannot be read: {problem}",
            "Give it as it is at its public address.",
        ) from problem


def _next(corpus: PublicCorpus, name: str, out: Path) -> str:
    if corpus.use == "labels":
        data = f"{out}/train.csv --test {out}/test.csv"
        return f"charlm finetune-classify RUN {data} --out runs/{name}"
    words = ["charlm", "train", f"{out}/train.txt"]
    for part in ("valid", "test"):
        if (out / f"{part}.txt").exists():
            words.append(f"--{part} {out}/{part}.txt")
    return " ".join([*words, *corpus.use.split(), "--out", f"runs/{name}"])


def main(words: list[str] | None = None) -> int:
    options = arguments(words)
    if options.name is None:
        for name, corpus in CORPORA.items():
            print(f"{name:<17} {corpus.about} ({corpus.terms})")
        return 0
    out = options.out or Path("data") / options.name
    try:
        get(options.name, out, options.source, options.sha256, options.force)
    except CharlmError as error:
        print(error_text(error.what, error.hint), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
