"""Every cell with its options and every temporal dropout, by the names of the conformance table."""

from typing import NamedTuple

from charlm import registry
from charlm.model.cells.base import Cell, make_cell
from charlm.model.dropout import DropoutRates


class Kind(NamedTuple):
    """A cell with its own options, with or without biases."""

    cell: str
    nonlinearity: str | None = None
    bias: bool = True

    def make(self) -> Cell:
        return make_cell(self.cell, nonlinearity=self.nonlinearity)


CELLS = {
    **{cell: Kind(cell) for cell in registry.CELLS if cell not in ("rnn", "conv")},
    "conv": Kind("conv", "relu"),
    **{f"rnn {name}": Kind("rnn", name) for name in ("sigmoid", "tanh", "relu")},
    "gru-cho without biases": Kind("gru-cho", bias=False),
    "rnn sigmoid without biases": Kind("rnn", "sigmoid", bias=False),
}
DROPOUTS = {
    "undropped": DropoutRates(),
    **{kind: DropoutRates(temporal=0.4, temporal_kind=kind) for kind in registry.TEMPORAL_DROPOUTS},
    "variational, a mask for each stream": DropoutRates(
        temporal=0.4, temporal_kind="variational", temporal_mask="stream"
    ),
}


def goes_with(cell: Kind, rates: DropoutRates) -> bool:
    """Whether there are connections through time to drop, or none are dropped."""
    return cell.make().recurrent or rates.temporal == 0
