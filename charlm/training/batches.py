"""Windows of a text for truncated back-propagation, a pure function of (text, seed, step).

The text is laid out as B streams side by side, each a contiguous piece; a step reads the
next T tokens of every stream, and the state is carried from step to step. T is `bptt`, or with
`variable` drawn around it. Where each epoch begins in the text is drawn anew, so that windows
fall differently each time. Nothing need be saved to go on at any step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from charlm.draws import Draws, Share
from charlm.errors import RunError
from charlm.model.stack import Border
from charlm.text.tokenizers.base import Grammar
from charlm.training.window_lengths import FixedLengths, VariableLengths, WindowLengths


@dataclass(frozen=True)
class Window:
    """One step's tokens.

    inputs, targets (T, B) int64: the target is the input's next token. At a border the state
    before is empty; where a document begins, the input is the boundary token (at a random reset
    it is the true token before). states (T, B): where the spelling
    automaton stands before each target. `first`: no state is carried in.
    """

    inputs: Tensor
    targets: Tensor
    states: np.ndarray
    borders: Sequence[Border]
    first: bool
    epoch: float  # passes over the text after this step
    share: float  # of bptt: its length T / bptt
    tokens: int  # in all streams, those of other processes too


class StreamBatches:
    """The windows of a tokenised text.

    ids (N,) and the token offsets of its documents; B streams, of which `share` are read here.
    Every epoch has the same number of windows, N // (B * bptt) where they are of one length; what
    is left over differs from epoch to epoch.
    """

    def __init__(
        self,
        ids: np.ndarray,
        documents: np.ndarray,
        boundary_id: int,
        grammar: Grammar,
        batch_size: int,
        bptt: int,
        reset_probability: float,
        seed: int,
        variable: bool = False,
        share: Share | None = None,
    ) -> None:
        self.share = share or Share.deal(batch_size)
        self.ids, self.documents = ids, documents
        self.boundary_id, self.grammar = boundary_id, grammar
        self.batch_size, self.bptt = batch_size, bptt
        self.reset_probability, self.seed = reset_probability, seed
        self.stream_length = len(ids) // batch_size
        if self.stream_length < bptt:
            raise RunError(
                f"{batch_size} streams of {bptt} tokens, and the text has {len(ids)}",
                "The run's configuration does not belong to its text; restore it from a copy.",
            )
        self.lengths: WindowLengths = (
            VariableLengths(self.stream_length, bptt, seed)
            if variable
            else FixedLengths(self.stream_length, bptt)
        )

    @property
    def windows_per_epoch(self) -> int:
        return self.lengths.count

    def window(self, step: int) -> Window:
        """The window of step 0, 1, 2, ..."""
        epoch, index = divmod(step, self.windows_per_epoch)
        n = len(self.ids)
        offset = int(Draws(self.seed, epoch).numpy("epoch offset").integers(n)) if epoch else 0
        start, length = self.lengths.place(epoch, index)
        streams = np.arange(self.share.begin, self.share.end)
        starts = offset + streams * self.stream_length + start
        positions = (starts + np.arange(length)[:, None]) % n  # (T, B) of the targets
        targets = self.ids[positions].astype(np.int64)
        before = self.ids[positions - 1].astype(np.int64)  # -1 wraps round; a border hides it
        fresh = self._begins_document(positions)
        inputs = np.where(fresh, self.boundary_id, before)
        if self.reset_probability:
            generator = Draws(self.seed, step).numpy("reset")
            drawn = generator.random(self.batch_size)[streams]
            fresh[0] |= drawn < self.reset_probability
        borders = [
            Border(int(t), torch.from_numpy(fresh[t])) for t in np.flatnonzero(fresh.any(axis=1))
        ]
        return Window(
            torch.from_numpy(inputs),
            torch.from_numpy(targets),
            self._states(positions, targets),
            borders,
            index == 0,
            (step + 1) / self.windows_per_epoch,
            length / self.bptt,
            length * self.batch_size,
        )

    def _states(self, positions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The grammar's state before each target; a text ends and begins in the free state."""
        first = [self.grammar.state_before(self.ids, int(position)) for position in positions[0]]
        return self.grammar.run(np.array(first), targets)[0]

    def _begins_document(self, positions: np.ndarray) -> np.ndarray:
        place = np.searchsorted(self.documents, positions)
        place = np.minimum(place, len(self.documents) - 1)
        return np.asarray(self.documents[place] == positions)
