"""A recurrence over a whole sequence, with its backward pass written out.

What all cells share: one matrix product for all inputs before the loop; the loop over time,
with masks on what is read and zoneout on what is kept; and the weight gradients as one
product each after the loop. What a cell does at one time step, there and back, is its `Steps`
(one file a cell beside this one).

    T time steps, B streams, I inputs, H hidden units, G gates

With bf16 inputs and weights the matrix products run in bf16; gates, state and everything
else keep the dtype of the state.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charlm.model.cells.base import Cell, State

Kept = Tensor | None
Zone = tuple[Tensor, ...]  # for each part of the state (T, B, H): the share of the old that stays


class Steps(ABC):
    """The steps of one cell over one sequence: what each computes, keeps, and sends back.

    gates (T, B, G*H) come in as W_ih x + b_ih + `added_bias`, and may be overwritten; read
    (T, B, H) is h_{t-1} as the products read it, in their dtype, filled in before each step.
    """

    buffers: ClassVar[int] = 0  # (T, B, H) tensors that a cell keeps beside the gates

    def __init__(
        self, cell: Cell, gates: Tensor, read: Tensor, weight_hh: Tensor, bias_hh: Tensor
    ) -> None:
        self.cell, self.gates, self.read = cell, gates, read
        self.weight_hh, self.bias_hh = weight_hh, bias_hh
        self.kept = [gates.new_empty(read.shape) for _ in range(self.buffers)]
        self.dz = torch.empty(0)  # (T, B, G*H) d loss / d gates as they came in: `backward` fills

    @staticmethod
    def added_bias(bias_hh: Tensor) -> Tensor:
        """The part of b_hh (G*H,) that is simply added to the gates."""
        return bias_hh

    @abstractmethod
    def forward(self, t: int, before: State, after: State) -> None:
        """Write the state after step t into `after`, (B, H) each."""

    @abstractmethod
    def backward(self, t: int, before: State, grads: list[Tensor]) -> tuple[Tensor, list[Kept]]:
        """Fill dz[t], given d loss / d state after step t.

        Returns d loss / d what the products read (B, H), and d loss / d state before by all
        other ways, None where there is none; `grads` may be overwritten.
        """

    def hidden_gradients(self, narrow: Tensor, db: Tensor) -> tuple[Tensor, Tensor]:
        """d loss / d W_hh (G*H, H) and d loss / d b_hh (G*H,).

        narrow (T*B, G*H) is dz in the dtype of the products, db (G*H,) its sum.
        """
        return narrow.T @ self.read.flatten(0, 1), db

    def into(self, z: Tensor, read: Tensor, weight: Tensor) -> Tensor:
        """z += read W^T, in place; z (B, K), read (B, H), weight (K, H)."""
        return z.addmm_(read, weight.T) if z.dtype == read.dtype else z.add_(read @ weight.T)


def product(a: Tensor, b: Tensor) -> Tensor:
    """a b in the dtype of b, given back in that of a: what of bf16 goes through a product."""
    return (a.to(b.dtype) @ b).to(a.dtype)


def run(
    steps: type[Steps],
    cell: Cell,
    x: Tensor,
    state: State,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    hidden_mask: Tensor | None = None,
    zone: Zone | None = None,
) -> tuple[Tensor, State]:
    """x (T, B, I) -> y (T, B, H) and the state after the last step, as `reference.run`.

    hidden_mask (B, H) or (1, H) multiplies h_{t-1} wherever a product reads it.
    """
    y, *after = _Sequence.apply(
        steps, cell, hidden_mask, zone, x, weight_ih, weight_hh, bias_ih, bias_hh, *state
    )
    return y, tuple(after)


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kind: type[Steps],
        cell: Cell,
        hidden_mask: Tensor | None,
        zone: Zone | None,
        x: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        *state: Tensor,
    ) -> tuple[Tensor, ...]:
        T, B, _ = x.shape
        H = weight_hh.shape[1]
        dtype = state[0].dtype
        bias = (bias_ih + kind.added_bias(bias_hh)).to(dtype)
        # One product for all inputs.
        gates = (x.flatten(0, 1) @ weight_ih.T).to(dtype).add_(bias).view(T, B, -1)
        read = x.new_empty(T, B, H)
        steps = kind(cell, gates, read, weight_hh, bias_hh.to(dtype))
        states = [part.new_empty(T + 1, B, H) for part in state]  # before the first step, after it
        for whole, part in zip(states, state, strict=True):
            whole[0] = part
        for t in range(T):
            before = tuple(whole[t] for whole in states)
            after = tuple(whole[t + 1] for whole in states)
            if hidden_mask is None:
                read[t] = before[0]
            else:
                torch.mul(before[0], hidden_mask, out=read[t])
            steps.forward(t, before, after)
            if zone is not None:
                for old, new, stays in zip(before, after, zone, strict=True):
                    new.lerp_(old, stays[t].expand_as(new))
        ctx.steps, ctx.states = steps, states
        ctx.hidden_mask, ctx.zone = hidden_mask, zone
        ctx.save_for_backward(x, weight_ih)
        y = states[0][1:].to(x.dtype, copy=True)
        return y, *(whole[T].clone() for whole in states)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, *grad_state: Tensor) -> tuple[Any, ...]:
        x, weight_ih = ctx.saved_tensors
        steps, states = ctx.steps, ctx.states
        gates = steps.gates
        steps.dz = torch.empty_like(gates)
        grads = [grad.clone() for grad in grad_state]
        for t in reversed(range(len(x))):
            before = tuple(whole[t] for whole in states)
            grads[0] += grad_y[t]
            ways: list[list[Kept]] = []  # on which the gradient goes to the state before
            if ctx.zone is not None:
                stayed = [grad * stays[t] for grad, stays in zip(grads, ctx.zone, strict=True)]
                grads = [grad - part for grad, part in zip(grads, stayed, strict=True)]
                ways.append(stayed)
            d_read, kept = steps.backward(t, before, grads)
            if ctx.hidden_mask is not None:
                d_read = d_read * ctx.hidden_mask
            ways += [[d_read, *[None] * (len(grads) - 1)], kept]
            grads = [_sum(parts) for parts in zip(*ways, strict=True)]
        flat = steps.dz.flatten(0, 1)
        narrow, db = flat.to(x.dtype), flat.sum(0)  # one conversion for three products
        dx = (narrow @ weight_ih).view_as(x)
        dw_ih = narrow.T @ x.flatten(0, 1)
        dw_hh, db_hh = steps.hidden_gradients(narrow, db)
        return (
            None, None, None, None, dx, dw_ih, dw_hh, db.to(x.dtype), db_hh.to(x.dtype), *grads
        )  # fmt: skip


def _sum(parts: tuple[Kept, ...]) -> Tensor:
    first, *rest = [part for part in parts if part is not None]
    for part in rest:
        first = first + part
    return first
