"""Dynamic evaluation: a model that goes on learning from the text it is measured on.

A document is read as one stream, in segments. Each is scored by the weights as they stand, and
then learned from (Krause et al. 2018, "Dynamic Evaluation of Neural Sequence Models";
dynamic_rules.py), so that no token's score depends on it or on what follows it.

The rms rule wants the usual size of gradients. It is taken from the training text, as in the
paper; an exported model has none: there it is that of this text's segments so far. At the border
of a document the state goes back to the empty one, and the weights stay as they are: what the
documents of a text have in common is what there is to adapt to.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from charlm import registry
from charlm.adaptation import DynamicSettings
from charlm.errors import DivergedError
from charlm.evaluation.dynamic_rules import DynamicRule, Rms
from charlm.evaluation.one_stream import OneStream, Segment
from charlm.evaluation.target_nats import TargetNats
from charlm.model.language_model import LanguageModel
from charlm.settings import AUTO
from charlm.text.tokenizers.base import Tokenizer
from charlm.training.loss import cross_entropy

# The usual gradients are those of so many segments, in stretches spread evenly over the text.
STRETCHES, STRETCH_SEGMENTS = 32, 16


class DynamicEvaluation:
    """A model that adapts to what it reads, for as long as the `with` block; after it the model
    is exactly what it was."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        settings: DynamicSettings,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.model, self.tokenizer, self.check = model, tokenizer, check
        self.target_nats = TargetNats(model, tokenizer.grammar)
        self.length = settings.dynamic_segment
        self._stream = OneStream(model, tokenizer.grammar, tokenizer.boundary_id)
        self.weights: list[Tensor] = [weight for _, weight in model.dense()]
        self.trained = [weight.detach().clone() for weight in self.weights]
        lr = None if settings.dynamic_lr == AUTO else settings.dynamic_lr
        make = registry.resolve(registry.DYNAMIC_RULES, settings.dynamic_rule)
        self.rule: DynamicRule = make(self.weights, self.trained, lr, settings.dynamic_decay)

    def __enter__(self) -> "DynamicEvaluation":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self.weights, self.trained)

    def note_usual_gradients(self, ids: np.ndarray) -> None:
        """Show the rms rule, and no other, the training text ids (N,)."""
        assert isinstance(self.rule, Rms)
        span = STRETCH_SEGMENTS * self.length
        last = max(0, len(ids) - span)
        for begin in np.unique(np.linspace(0, last, STRETCHES).astype(np.int64)).tolist():
            spelling = self.tokenizer.grammar.state_before(ids, begin)
            self._stream.begin(int(ids[begin - 1]) if begin else None, spelling)
            for segment in self._segments(ids[begin : begin + span]):
                self.rule.note(self._gradients(segment))
        self.begin()

    def begin(self) -> None:
        """Go to the empty state; what was learned stays."""
        self._stream.begin()

    def read(self, ids: np.ndarray, documents: np.ndarray) -> Iterator[np.ndarray]:
        """-log p (nats, float64) of all tokens of ids (N,) in order, a segment at a time, each
        document from the empty state.

        DivergedError where learning has made the model useless.
        """
        for begin, end in pairwise([*documents.tolist(), len(ids)]):
            self.begin()
            yield from self.read_on(ids[begin:end])

    def read_on(self, ids: np.ndarray) -> Iterator[np.ndarray]:
        """The same from the state in which the reading stands."""
        for segment in self._segments(ids):
            nats = self.target_nats(segment.outputs, segment.targets, segment.states)[:, 0]
            if not np.isfinite(nats).all():
                raise DivergedError(
                    f"the model diverged on its way through the text: --dynamic-lr "
                    f"{self.rule.lr:g} is too large for it",
                    "Give a smaller one.",
                )
            self.rule.step(self._gradients(segment))
            yield nats

    def _segments(self, ids: np.ndarray) -> Iterator[Segment]:
        for segment in self._stream.segments(ids, self.length, differentiable=True):
            self.check()
            yield segment

    @torch.enable_grad()
    def _gradients(self, segment: Segment) -> list[Tensor]:
        """For each of the weights. Divided by a whole segment's tokens, so that a line of one
        token teaches no more than any other token."""
        targets = torch.from_numpy(segment.targets).to(self.target_nats.device)
        legal = self.target_nats.legal
        loss = cross_entropy(self.model, segment.outputs, targets, legal, segment.states)
        return list(torch.autograd.grad(loss * (len(targets) / self.length), self.weights))
