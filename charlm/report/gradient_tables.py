"""Gradients through time as a table and as a picture."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from charlm.report.drawing import COLOURS, drawable, logarithmic, panels, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FAINTEST = 1e-12  # of what it began with: a gradient smaller than that is off the picture


def gradient_rows(flows: Mapping[str, Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """A row for each distance of each gradient, a column for each network."""
    every = list(flows.values())
    distances = every[0]["distances"]
    rows: list[tuple[Any, ...]] = []
    for part in dict.fromkeys(name for flow in every for name in flow["state"]):
        for k in distances:
            values = [flow["state"].get(part) for flow in every]
            rows.append((f"|dL_t/d{part}_t-{k}|", *(v and _short(v[k]) for v in values)))
    for number, k in enumerate(distances):
        rows.append((f"|dL_t/dW_hh at t-{k}|", *(_short(flow["weight"][number]) for flow in every)))
    rows.append(
        ("of h's, kept a step", *(_short(kept_a_step(flow["state"]["h"])) for flow in every))
    )
    rows.append(
        (
            "largest singular value",
            *(_short(max(flow["largest_singular_values"], default=None)) for flow in every),
        )
    )
    rows.append(("norm of the gradient", *(_short(flow["gradient_norm"]) for flow in every)))
    rows.append(("the same after clipping", *(_short(flow["clipped_norm"]) for flow in every)))
    return rows


def kept_a_step(norms: list[float]) -> float | None:
    """The factor by which a gradient changes on its way from k = 0 to the last, a step."""
    if not norms[0] or norms[-1] is None:
        return None
    return float((norms[-1] / norms[0]) ** (1 / (len(norms) - 1)))


def _short(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"


def gradient_picture(flows: Mapping[str, Mapping[str, Any]], columns: int = 2) -> "Figure":
    """Both gradients against the number of steps back, on logarithmic axes."""
    figure, (by_state, by_weight) = panels(
        ["of the state, |dL_t/dh_t-k|", "through step t-k, |dL_t/dW_hh|"],
        columns,
        panel=(3.9, 2.9),
    )
    with style():
        lines, names = [], []
        extent: list[list[float]] = [[], []]  # first and largest values, of each panel
        for number, (name, flow) in enumerate(flows.items()):
            look: Any = {
                "color": COLOURS[number % len(COLOURS)],
                "linestyle": ("-", "--")[number // len(COLOURS) % 2],
            }
            h = _positive(enumerate(flow["state"]["h"]))
            lines += by_state.plot([k for k, _ in h], [y for _, y in h], **look)
            names.append(drawable(name))
            w = _positive(zip(flow["distances"], flow["weight"], strict=True))
            by_weight.plot([k for k, _ in w], [y for _, y in w], **look, marker="o", markersize=2.5)
            for place, found in enumerate((h, w)):
                if found:
                    extent[place] += [found[0][1], max(y for _, y in found)]
        for axes, values in zip((by_state, by_weight), extent, strict=True):
            logarithmic(axes)
            if values:
                axes.set_ylim(min(values) * _FAINTEST, max(values) * 10)
            axes.set_xlabel("k, steps back")
        figure.legend(lines, names, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _positive(pairs: Any) -> list[tuple[float, float]]:
    """What a logarithmic axis can show."""
    return [(k, y) for k, y in pairs if y]
