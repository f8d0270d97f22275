"""N-grams beside a token: the rows they are hashed to, borders, and what the state carries."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charlm.draws import Draws
from charlm.model.language_model import Architecture, LanguageModel
from charlm.model.ngram_rows import ngram_rows
from charlm.model.ngrams import NgramEmbedding
from charlm.model.stack import Border

T, B, E, V, N, R = 7, 4, 5, 11, 4, 32


def row(codes: list[int], rows: int) -> int:
    """The row of one n-gram, oldest token first, in Python's whole numbers."""
    polynomial = codes[-1]
    for code in reversed(codes[:-1]):
        polynomial = (polynomial * 1_000_003 + code) % 2**64
    golden = -7046029254386353131 % 2**64
    return ((polynomial + len(codes)) * golden % 2**64 >> 32) % rows


def embedding(order: int = N) -> NgramEmbedding:
    module = NgramEmbedding(V, order, R, E)
    torch.nn.init.normal_(module.weight, generator=torch.Generator().manual_seed(1))
    return module


def expected(module: NgramEmbedding, codes: list[int]) -> torch.Tensor:
    """(E,) of the last of these tokens, of which those before the first are none."""
    padded = [0] * module.order + codes
    return sum(
        (module.weight[row(padded[-n:], R)] for n in range(2, module.order + 1)), torch.zeros(E)
    )


@given(st.lists(st.integers(0, 2**24), min_size=2, max_size=9), st.integers(0, 20))
def test_rows_are_those_of_whole_numbers(codes: list[int], power: int) -> None:
    newest_first = [np.array([code]) for code in reversed(codes)]
    found = [int(r[0]) for r in ngram_rows(newest_first, 2**power)]
    assert found == [row(codes[-n:], 2**power) for n in range(2, len(codes) + 1)]
    tensors = [torch.from_numpy(code) for code in newest_first]
    assert [int(r[0]) for r in ngram_rows(tensors, 2**power)] == found


def test_vectors_are_sums_of_rows() -> None:
    module = embedding()
    ids = torch.randint(V, (T, B), generator=torch.Generator().manual_seed(2))
    vectors, history = module(ids, module.empty_history(B))
    for b in range(B):
        codes = (ids[:, b] + 1).tolist()
        for t in range(T):
            torch.testing.assert_close(vectors[t, b], expected(module, codes[: t + 1]))
        assert history[b].tolist() == codes[::-1][: N - 1]


def test_no_n_gram_reaches_back_over_a_border() -> None:
    module = embedding()
    ids = torch.randint(V, (T, B), generator=torch.Generator().manual_seed(3))
    borders = [
        Border(2, torch.tensor([True, False, True, False])),
        Border(5, torch.tensor([True, True, False, False])),
    ]
    history = torch.full((B, N - 1), 9.0)
    vectors, after = module(ids, history, borders)
    for b in range(B):
        starts = [0, *(border.step for border in borders if border.fresh[b]), T]
        for begin, end in pairwise(starts):
            before = [9] * (N - 1) if begin == 0 else []
            codes = (ids[begin:end, b] + 1).tolist()
            for t in range(end - begin):
                wanted = expected(module, before + codes[: t + 1])
                torch.testing.assert_close(vectors[begin + t, b], wanted)
        last = (ids[starts[-2] :, b] + 1).tolist()[::-1]
        left = [9] * (N - 1) if len(starts) == 2 else [0] * (N - 1)
        assert after[b].tolist() == (last + left)[: N - 1]


@pytest.mark.parametrize("order", [2, 3, 9])
def test_a_sequence_is_its_parts(order: int) -> None:
    module = embedding(order)
    ids = torch.randint(V, (T, B), generator=torch.Generator().manual_seed(4))
    whole, history = module(ids, module.empty_history(B))
    state, parts = module.empty_history(B), []
    for begin, end in ((0, 1), (1, 4), (4, 6), (6, 7)):
        part, state = module(ids[begin:end], state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=0)
    assert torch.equal(state, history)


def test_a_model_with_n_grams_knows_more_than_its_last_token() -> None:
    """The logits change with a token that only an n-gram still sees."""
    a = Architecture(V, "rnn", 1, 6, E, False, nonlinearity="tanh", ngram_order=3, ngram_rows=64)
    model = LanguageModel(a).initialise("orthogonal", Draws(1, 0))
    with torch.no_grad():
        model.layers.get_parameter("0.weight_hh").zero_()  # the layer itself remembers nothing
        assert model.ngrams is not None
        model.ngrams.weight.normal_(generator=torch.Generator().manual_seed(5))
    first, other = torch.tensor([[1], [2], [3]]), torch.tensor([[4], [2], [3]])
    outputs = [model(ids, model.empty_state(1)).outputs[-1] for ids in (first, other)]
    assert not torch.equal(*outputs)
    other[1] = first[1] = 5
    far = [
        model(torch.cat([ids, torch.tensor([[6]])]), model.empty_state(1)).outputs[-1]
        for ids in (first, other)
    ]
    assert torch.equal(*far)


def test_the_gradient_touches_the_rows_that_were_read() -> None:
    module = embedding()
    ids = torch.randint(V, (T, B), generator=torch.Generator().manual_seed(6))
    vectors, _ = module(ids, module.empty_history(B))
    weight = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(7))
    (vectors * weight).sum().backward()
    assert module.weight.grad is not None
    assert module.weight.grad.is_sparse
    dense = torch.zeros(R, E)
    for b in range(B):
        codes = [0] * N + (ids[:, b] + 1).tolist()
        for t in range(T):
            for n in range(2, N + 1):
                dense[row(codes[N + t + 1 - n : N + t + 1], R)] += weight[t, b]
    torch.testing.assert_close(module.weight.grad.to_dense(), dense)
