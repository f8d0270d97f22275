"""charlm doctor: what this machine can do, and what is wrong with it."""

from collections.abc import Mapping
from typing import Any

from charlm.cli.verbs import Context
from charlm.errors import MachineError

PARAMETERS: list[Any] = []


def doctor(context: Context, values: Mapping[str, Any]) -> None:
    """What charlm finds here: versions, threads, precision, kernels, memory, disk.

    Example: charlm doctor
    """
    from charlm import api

    found = api.doctor()
    if context.as_json:
        context.output.json(found)
    else:
        for name, shown in _rows(found):
            context.output.line(f"{name}\t{shown}")
    if found["problems"]:
        raise MachineError("; ".join(found["problems"]), "See above what was found.")


def _rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [(name, found[name]) for name in ("charlm", "python", "platform")]
    rows += [(name, version or "missing") for name, version in found["versions"].items()]
    rows.append(("memory", f"{found['memory_bytes'] / 2**30:.1f} GiB"))
    for name in ("disk", "temporary"):
        place = found[name]
        if place is None:
            rows.append((name, "none"))
            continue
        room = f"{place.get('free_bytes', 0) / 2**30:.1f} GiB free"
        disk = f"{place['seconds_to_disk'] * 1000:.1f} ms to the disk" if place["writable"] else (
            "cannot be written"
        )  # fmt: skip
        rows.append((name, f"{place['path']}: {room}, {disk}"))
    if "threads" not in found:
        return rows
    threads, precision = found["threads"], found["precision"]
    rows.append(
        (
            "threads",
            f"{threads['chosen']} of {threads['allowed']} allowed ({threads['cores']} cores): "
            f"{threads['reason']}",
        )
    )
    rows.append(
        (
            "precision",
            f"{precision['chosen']} (fp32 {precision['fp32_gflops']:.0f} GFLOP/s, bf16 "
            f"{precision['bf16_gflops']:.0f}): {precision['reason']}",
        )
    )
    rows.append(("gpu", found["gpu"] or "none that can be used"))
    rows += [
        (
            f"kernel {check['cell']} {check['kernel']} {check['precision']}",
            f"{'right' if check['right'] else 'WRONG'}: off by {check['deviation']:.0e}",
        )
        for check in found["kernels"]
    ]
    return rows
