"""safetensors bytes: exact, and hostile headers refused before anything is allocated."""

import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from charlm.errors import CharlmError, RunError
from charlm.runs.tensors import check_tensors, decode, encode, read_header

PATH = Path("weights.safetensors")
DTYPES = ["float64", "float32", "float16", "bool", "int64", "int32", "int16", "int8", "uint64",
          "uint32", "uint16", "uint8"]  # fmt: skip


def file_of(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + data


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name != "__metadata__"),
        st.sampled_from(DTYPES).flatmap(
            lambda dtype: hnp.arrays(
                dtype,
                hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
                elements={"allow_nan": False, "allow_infinity": False}
                if dtype.startswith("float")
                else None,
            )
        ),
        max_size=4,
    )
)
@settings(deadline=None, max_examples=80)
def test_arrays_round_trip_exactly(tensors: dict[str, np.ndarray]):
    raw = encode(tensors)
    assert raw == encode(dict(reversed(tensors.items())))
    found = decode(raw, PATH)
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_a_type_without_a_place_in_the_format_is_refused():
    with pytest.raises(CharlmError, match="'a' has type complex128"):
        encode({"a": np.zeros(2, np.complex128)})


TERA = 2**40
HOSTILE = {
    "empty file": b"",
    "short": b"\0" * 7,
    "length beyond the file": file_of({"a": entry()}, bytes(8), length=TERA),
    "all ones": b"\xff" * 64,
    "terabytes promised": file_of({"a": entry(shape=[TERA], offsets=[0, 4 * TERA])}, bytes(8)),
    "terabytes in no bytes": file_of({"a": entry(shape=[TERA], offsets=[0, 0])}),
    "product of sides": file_of({"a": entry(shape=[2**31, 2**31, 4], offsets=[0, 8])}, bytes(8)),
    "product that overflows 64 bits": file_of({"a": entry(shape=[2**32, 2**32], offsets=[0, 0])}),
    "huge integer": file_of({"a": entry(shape=[10**30], offsets=[0, 8])}, bytes(8)),
    "negative side": file_of({"a": entry(shape=[-2, -1], offsets=[0, 8])}, bytes(8)),
    "side is true": file_of({"a": entry(shape=[True, 2], offsets=[0, 8])}, bytes(8)),
    "side is a float": file_of({"a": entry(shape=[2.0], offsets=[0, 8])}, bytes(8)),
    "many sides": file_of({"a": entry(shape=[1] * 99 + [2], offsets=[0, 8])}, bytes(8)),
    "shape is no list": file_of({"a": entry(shape=2)}, bytes(8)),
    "offsets backwards": file_of({"a": entry(shape=[0], offsets=[8, 0])}, bytes(8)),
    "offsets negative": file_of({"a": entry(offsets=[-8, 0])}, bytes(8)),
    "three offsets": file_of({"a": entry(offsets=[0, 8, 8])}, bytes(8)),
    "beyond the data": file_of({"a": entry(offsets=[4, 12])}, bytes(8)),
    "gap": file_of({"a": entry(), "b": entry(offsets=[12, 20])}, bytes(20)),
    "overlap": file_of({"a": entry(), "b": entry(offsets=[4, 12])}, bytes(12)),
    "trailing bytes": file_of({"a": entry()}, bytes(9)),
    "unknown type": file_of({"a": entry(dtype="BF17")}, bytes(8)),
    "type is a list": file_of({"a": entry(dtype=["F32"])}, bytes(8)),
    "duplicate tensor": file_of(b'{"a":1,"a":2}'),
    "entry is a number": file_of({"a": 3}),
    "extra key": file_of({"a": entry() | {"x": 1}}, bytes(8)),
    "metadata is a list": file_of({"__metadata__": []}),
    "metadata is nested": file_of({"__metadata__": {"a": {}}}),
    "header is a list": file_of([]),
    "nested": file_of(b'{"a":' + b"[" * 10**6 + b"]" * 10**6 + b"}"),
    "header over the limit": file_of(b"{" + b" " * 2**24 + b"}"),
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_headers_are_refused_at_once_and_cheaply(raw: bytes):
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(RunError, match=str(PATH)):
            read_header(raw, PATH)
        assert time.perf_counter() - start < 1
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


VALID = encode({"a": np.arange(3, dtype=np.float32), "b": np.ones((2, 2), np.int16)})


@given(st.binary(max_size=60) | st.integers(0, len(VALID) * 8 - 1))
@settings(deadline=None, max_examples=300)
def test_whatever_the_bytes_it_decodes_or_is_a_run_error(change: bytes | int):
    if isinstance(change, int):
        raw = bytearray(VALID)
        raw[change // 8] ^= 1 << change % 8
    else:
        raw = bytearray(file_of(b"{" + change + b"}"))
    try:
        found = decode(bytes(raw), PATH)
    except RunError:
        return
    # A flip in the data gives other numbers; hashes find it, one level up.
    assert sum(array.nbytes for array in found.values()) <= len(raw)


def test_tensors_are_compared_with_what_the_model_needs():
    expected = {"w": ((2, 3), "float32"), "b": ((3,), np.float32)}
    good = {"w": np.zeros((2, 3), np.float32), "b": np.zeros(3, np.float32)}
    check_tensors(good, expected, "run")
    cases = [
        ({"w": good["w"]}, "'b' is missing"),
        ({**good, "x": good["b"]}, "'x' is not part"),
        ({**good, "w": good["w"].T}, r"'w' is float32 \(3, 2\), and float32 \(2, 3\) is needed"),
        ({**good, "b": np.zeros(3)}, r"'b' is float64 \(3,\), and float32"),
    ]
    for tensors, message in cases:
        with pytest.raises(RunError, match="run: tensor " + message):
            check_tensors(tensors, expected, "run")
