"""Inputs that are nearly right: bytes of good files changed here and there, and trees of JSON."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

# What readers stumble over: signs of the formats, numbers beyond every range, deep nesting.
TOKENS = (
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\n", b"\r\n", b"\0", b"\xff",
    b"\xef\xbb\xbf", b"\x80", b"\xed\xa0\x80", b"null", b"true", b"-1", b"1e999", b"NaN", b"9" * 40,
    b"18446744073709551616",
    b"../", b"/etc/passwd", b"\\ud800", b"[" * 2000, b'{"a":' * 500, b"[[", b"]]", b"'", b"=", b"#",
    b"\xf0\x9f\x98\x80", b"\xe2\x80\xae", b"\x1b[31m", b"\t",
)  # fmt: skip
_change = st.tuples(
    st.sampled_from(["flip", "replace", "insert", "delete", "cut", "double"]),
    st.integers(0, 2**20),
    st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=6),
)


def _changed(raw: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for kind, number, data in changes:
        at = number % (len(raw) + 1)
        if kind == "flip" and at < len(raw):
            raw = raw[:at] + bytes([raw[at] ^ (1 << number % 8)]) + raw[at + 1 :]
        elif kind == "replace":
            raw = raw[:at] + data + raw[at + len(data) :]
        elif kind == "insert":
            raw = raw[:at] + data + raw[at:]
        elif kind == "delete":
            raw = raw[:at] + raw[at + 1 + number % 40 :]
        elif kind == "cut":
            raw = raw[:at]
        elif kind == "double":
            raw = raw[:at] + raw[at : at + number % 60] + raw[at:]
    return raw


def near(*good: bytes) -> st.SearchStrategy[bytes]:
    """Bytes that are a good file but for up to four changes; and any bytes at all."""
    changed = st.builds(_changed, st.sampled_from(good), st.lists(_change, max_size=4))
    return changed | st.binary(max_size=120)


_leaf = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([-1, 0, 1, 2**31, 2**53, 10**9, "", "..", "/", "auto", "none"])
)  # fmt: skip
values = st.recursive(
    _leaf,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


def _places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = (
        list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else []
    )
    return [p for key in keys for p in [(*path, key), *_places(tree[key], (*path, key))]]


def _edited(tree: Any, edits: list[tuple[int, str, Any]]) -> Any:
    tree = copy.deepcopy(tree)
    for number, kind, value in edits:
        places = _places(tree)
        if not places:
            break
        *above, last = places[number % len(places)]
        node = tree
        for key in above:
            node = node[key]
        if kind == "remove":
            del node[last]
        elif kind == "add" and isinstance(node, dict):
            node[str(value)[:8]] = value
        else:
            node[last] = value
    return tree


def near_tree(good: Any) -> st.SearchStrategy[Any]:
    """A tree of JSON that is `good` but for up to three places."""
    edit = st.tuples(
        st.integers(0, 10**6), st.sampled_from(["set", "set", "remove", "add"]), values
    )
    return st.builds(_edited, st.just(good), st.lists(edit, min_size=1, max_size=3))


def as_json(tree: Any) -> bytes:
    return json.dumps(tree).encode("utf-8", "surrogatepass")
