"""Named arrays <-> safetensors bytes, with the header checked before anything is allocated.

The format: 8 bytes of header length (little-endian), a JSON header
`{name: {"dtype", "shape", "data_offsets": [begin, end]}}`, the data without gaps.
Source: https://github.com/huggingface/safetensors#format
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from charlm.errors import CharlmError, RunError
from charlm.storage.reading import TEXT_LIMIT, damaged, parse_json

Tensors = dict[str, NDArray[Any]]

_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BOOL": "bool",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
}  # fmt: skip
_MOST_AXES = 8
OTHER_CONFIGURATION = (
    "The weights do not belong to this configuration. Use the run's own config.toml."
)


def encode(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """safetensors bytes, the same for the same arrays; CharlmError for a type it cannot hold."""
    from safetensors.numpy import save

    for name, array in tensors.items():
        if array.dtype.name not in _DTYPES.values():
            raise CharlmError(f"tensor {name!r} has type {array.dtype}, which cannot be stored")
    # The library copies memory from the array's address on: a transposed view would be
    # stored in the wrong order.
    return save({name: np.asarray(array, order="C") for name, array in tensors.items()})


def decode(raw: bytes, path: Path) -> Tensors:
    """The arrays of a safetensors file, all finite; RunError naming `path` and the tensor."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    read_header(raw, path)
    try:
        tensors: Tensors = load(raw)
    except SafetensorError as error:
        raise damaged(path, "is not a safetensors file") from error
    name = first_not_finite(tensors)
    if name is not None:
        raise damaged(path, f"tensor {name!r} holds NaN or infinity", "Use another checkpoint.")
    return tensors


def read_header(raw: bytes, path: Path) -> tuple[dict[str, str], int]:
    """The `__metadata__` of a safetensors file, and the byte where its data begin.

    Raises RunError unless the header is at most TEXT_LIMIT long, every tensor's bytes
    are those its type and shape need, and together they fill the file exactly.
    """
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 10 or length > min(len(raw) - 8, TEXT_LIMIT):
        raise damaged(path, f"a header of {length} bytes does not fit {len(raw)} bytes of file")
    begin_of_data = 8 + length
    header = parse_json(raw[8:begin_of_data], path)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise damaged(path, "has metadata that is not text")
    spans = sorted(_span(name, entry, path) for name, entry in header.items())
    end = 0
    for begin, next_end in spans:
        if begin != end:
            raise damaged(path, "its tensors overlap or leave gaps")
        end = next_end
    if begin_of_data + end != len(raw):
        needed = begin_of_data + end
        raise damaged(path, f"its header needs {needed} bytes, and the file has {len(raw)}")
    return metadata, begin_of_data


def _span(name: str, entry: Any, path: Path) -> tuple[int, int]:
    """`(begin, end)` of one tensor's data, once type, shape and length agree."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise damaged(path, f"tensor {name[:100]!r} has no type, shape and place")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in _DTYPES:
        raise damaged(path, f"tensor {name[:100]!r} has an unknown type")
    if not _naturals(shape) or len(shape) > _MOST_AXES:
        raise damaged(path, f"tensor {name[:100]!r} has an impossible shape")
    if not _naturals(offsets) or len(offsets) != 2:
        raise damaged(path, f"tensor {name[:100]!r} has no place in the file")
    begin, end = offsets
    if end - begin != math.prod(shape) * np.dtype(_DTYPES[entry["dtype"]]).itemsize:
        raise damaged(path, f"tensor {name[:100]!r} does not fit its place in the file")
    return begin, end


def _naturals(value: Any) -> bool:
    # Python's integers do not overflow; 2**53 keeps the products small.
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**53 for n in value)


def first_not_finite(tensors: Mapping[str, NDArray[Any]]) -> str | None:
    """The name of the first tensor that holds NaN or infinity; None if there is none."""
    for name, array in tensors.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return name
    return None


def check_tensors(
    tensors: Mapping[str, NDArray[Any]],
    expected: Mapping[str, tuple[tuple[int, ...], DTypeLike]],
    where: str | Path,
    hint: str = OTHER_CONFIGURATION,
) -> None:
    """Raises RunError unless exactly the tensors of `expected` are there.

    `expected`: name -> (shape, dtype); `where`: the file or run that the message names.
    """
    for name in expected.keys() - tensors.keys():
        raise RunError(f"{where}: tensor {name!r} is missing", hint)
    for name in tensors.keys() - expected.keys():
        raise RunError(f"{where}: tensor {name[:100]!r} is not part of the model", hint)
    for name, (shape, dtype) in expected.items():
        found = tensors[name]
        if found.shape != tuple(shape) or found.dtype != np.dtype(dtype):
            raise RunError(
                f"{where}: tensor {name!r} is {found.dtype} {found.shape}, "
                f"and {np.dtype(dtype)} {tuple(shape)} is needed",
                hint,
            )
