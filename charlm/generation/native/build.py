"""The compiled steps as machine code: made once for a processor, kept on disk, loaded in no time.

numba compiles (some seconds, once), and what it made is stored. Later calls need neither numba
nor its import: llvmlite alone puts the stored code in its place. The code is kept beside this
package, or where that cannot be written, in the user's cache; its name holds what it depends on.
Several versions and processors may share a place: what was made last for a few of them stays.

    python -m charlm.generation.native.build    makes it ahead of time
"""

import contextlib
import ctypes
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from charlm.errors import MachineError
from charlm.storage.atomic import write_atomically

Say = Callable[[str], None]
Run = Callable[..., None]  # `steps.run`

_SOURCES = (
    "layout",
    "products",
    "pointwise",
    "output",
    "cuts",
    "steps",
    "build",
    "../../model/ngram_rows",
)
_INTEGER, _POINTER, _DOUBLE = ctypes.c_int64, ctypes.c_void_p, ctypes.c_double
_ARGUMENTS = [*[_POINTER] * 2, *[_INTEGER] * 3, *[_POINTER] * 13, _DOUBLE]
_LIMIT = 1 << 24  # bytes of a stored file; it has some 40,000
_KEPT = 8  # stored files in one place


class NotCompiledError(Exception):
    """There is no compiled code here and none can be made, for the reason given."""


def steps(say: Say) -> Run:
    """The function `steps.run`; NotCompiledError where there can be none."""
    if sys.byteorder != "little" or sys.maxsize < 2**32:
        raise NotCompiledError("it is made for 64-bit little-endian machines")
    try:
        import llvmlite.binding as llvm

        name = f"decoder-{_depends_on(llvm)}.bin"
        if name in _loaded:
            return _loaded[name][0]
        stored = next(filter(None, (_read(folder / name) for folder in folders())), None)
        if stored is None:
            say("Compiling the decoder for this machine, once: some seconds.")
            stored = _compile()
            if reason := _kept_nowhere(stored, name):
                say(f"It can be kept nowhere ({reason}): it is compiled at each start.")
        _loaded[name] = _load(llvm, *stored)
        return _loaded[name][0]
    except (ImportError, OSError, RuntimeError) as error:
        raise NotCompiledError(str(error)) from error


def folders() -> Iterator[Path]:
    """Where the code may be kept, the best place first."""
    yield Path(__file__).parent / "__pycache__"
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    yield Path(base) / "charlm"


def _depends_on(llvm: Any) -> str:
    """Source, compiler and processor, as one hash."""
    found = hashlib.sha256()
    for source in _SOURCES:
        found.update((Path(__file__).parent / f"{source}.py").read_bytes())
    try:
        features = sorted(llvm.get_host_cpu_features().items())
    except RuntimeError:  # LLVM cannot tell everywhere
        features = []
    for part in (llvm.llvm_version_info, llvm.get_host_cpu_name(), features, sys.version):
        found.update(repr(part).encode())
    return found.hexdigest()[:24]


def _compile() -> tuple[str, bytes]:
    """The function's name in its object file, and the file."""
    from charlm.generation.native.steps import run

    (compiled,) = run.overloads.values()
    code: bytes = compiled.library._get_compiled_object()
    return compiled.fndesc.llvm_func_name, code


def _kept_nowhere(stored: tuple[str, bytes], name: str) -> str:
    """Keeps it; the reason where that cannot be, else nothing."""
    content = f"{stored[0]}\n".encode() + stored[1]
    content = hashlib.sha256(content).hexdigest().encode() + b"\n" + content
    reason = ""
    for folder in folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(folder / name, content, mode=0o644)
            _remove_old(folder)
            return ""
        except (OSError, MachineError) as error:
            reason = str(error)
    return reason


def _remove_old(folder: Path) -> None:
    """Leave the latest of what is stored; it is made again where it is missed."""
    with contextlib.suppress(OSError):
        made = sorted(folder.glob("decoder-*.bin"), key=lambda path: path.lstat().st_mtime_ns)
        for path in made[:-_KEPT]:
            path.unlink()


def _read(path: Path) -> tuple[str, bytes] | None:
    """What is stored; None where nothing is, or something damaged, or what others may write."""
    try:
        with open(path, "rb") as file:
            about = os.fstat(file.fileno())
            # It is run: in a cache that all may write, anyone could have put it there.
            if about.st_uid not in (0, os.geteuid()) or about.st_mode & 0o022:
                return None
            content = file.read(_LIMIT)
    except OSError:
        return None
    digest, _, rest = content.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        return None
    name, _, code = rest.partition(b"\n")
    return name.decode("ascii"), code


_loaded: dict[str, tuple[Run, Any]] = {}  # with the engine, whose end would be the code's


def _load(llvm: Any, name: str, code: bytes) -> tuple[Run, Any]:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(ctypes.c_int32, *_ARGUMENTS)(engine.get_function_address(name))
    # numba's convention: first where to put the result, none here, and the exception.
    nowhere = ctypes.create_string_buffer(32)
    first = ctypes.addressof(nowhere), ctypes.addressof(nowhere) + 16

    def run(*arguments: Any) -> None:
        function(*first, *arguments)

    return run, (engine, nowhere)


if __name__ == "__main__":
    steps(lambda message: None)
