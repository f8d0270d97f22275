"""A model that learns from the text it is measured on: against the equations in plain loops."""

import itertools

import numpy as np
import pytest
import torch
from reference.texts import english

from charlm.adaptation import DynamicSettings
from charlm.errors import DivergedError
from charlm.evaluation import dynamic
from charlm.evaluation.dynamic import DynamicEvaluation
from charlm.evaluation.dynamic_rules import EPSILON, RENEW, DynamicRule, Rms
from charlm.evaluation.measure import measure
from charlm.registry import DYNAMIC_RULES, resolve
from charlm.settings import settings_in
from evaluation.models import Text, model_of, tokenizer_of

DOCUMENTS = [english(2, seed=2) + "聞é", "x", english(1, seed=3)]
TRAINING = english(1, seed=9) + "聞鿿" * 10 + english(1, seed=8)


def read(model, tokenizer, text, training=None, **settings):
    """-log p of every token."""
    chosen = DynamicSettings(**{f"dynamic_{name}": value for name, value in settings.items()})
    with DynamicEvaluation(model, tokenizer, chosen) as evaluation:
        if training is not None:
            evaluation.note_usual_gradients(tokenizer.encode(training))
        return np.concatenate(list(evaluation.read(text.ids, text.documents)))


class ByHand:
    """The same in plain loops: one forward pass a segment, weights as NumPy arrays."""

    def __init__(self, model, tokenizer, segment):
        self.model, self.tokenizer, self.segment = model, tokenizer, segment
        self.parameters = list(model.parameters())
        self.trained = [p.detach().numpy().copy() for p in self.parameters]

    def segments(self, ids, before, spelling=0):
        """-log p of each segment's tokens and the gradients of its loss, in whole segments."""
        grammar = self.tokenizer.grammar
        state = self.model.empty_state(1)
        for begin in range(0, len(ids), self.segment):
            tokens = ids[begin : begin + self.segment].astype(int)
            inputs = torch.tensor([before, *tokens[:-1]])[:, None]
            outputs, state, _ = self.model(inputs, state)
            state = tuple(tuple(part.detach() for part in layer) for layer in state)
            losses, nats = [], []
            for y, token in zip(self.model.logits(outputs[:, 0]), tokens, strict=True):
                legal = torch.from_numpy(grammar.legal[spelling])
                loss = torch.logsumexp(y[legal], 0) - y[token]
                mass, floor = grammar.floor_mass[spelling], grammar.floor[spelling, token]
                nats.append(-np.log((1 - mass) * np.exp(-loss.item()) + mass * floor))
                losses.append(loss)
                spelling = grammar.next_state[spelling, token]
            before = tokens[-1]
            loss = torch.stack(losses).sum() / self.segment
            gradients = torch.autograd.grad(loss, self.parameters)
            yield np.array(nats), [gradient.numpy() for gradient in gradients]

    def put(self, weights):
        with torch.no_grad():
            for parameter, weight in zip(self.parameters, weights, strict=True):
                parameter.copy_(torch.from_numpy(weight))

    def read(self, text, step):
        found, weights = [], [w.copy() for w in self.trained]
        for ids in np.split(text.ids, text.documents[1:]):
            for nats, gradients in self.segments(ids, self.tokenizer.boundary_id):
                found.append(nats)
                weights = [
                    w + change for w, change in zip(weights, step(weights, gradients), strict=True)
                ]
                self.put(weights)
        self.put(self.trained)
        return np.concatenate(found)


def test_sgd_is_the_papers():
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer), Text(tokenizer, DOCUMENTS)
    hand = ByHand(model, tokenizer, 7)

    def step(weights, gradients):
        return [
            -0.2 * g + 0.05 * (w_0 - w)
            for w, g, w_0 in zip(weights, gradients, hand.trained, strict=True)
        ]

    wanted = hand.read(text, step)
    found = read(model, tokenizer, text, rule="sgd", lr=0.2, decay=0.05, segment=7)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert abs(wanted.sum() - read(model, tokenizer, text, rule="sgd", lr=1e-9).sum()) > 1


def rms_step(hand, squares, lr, decay):
    sizes = [np.sqrt(s) for s in squares]
    mean = np.concatenate([size.ravel() for size in sizes]).mean()

    def step(weights, gradients):
        return [
            -lr * g / (size + EPSILON) + np.minimum(decay * size / mean, 1) * (w_0 - w)
            for w, g, w_0, size in zip(weights, gradients, hand.trained, sizes, strict=True)
        ]

    return step


def mean_squares(gradients):
    """[segment][weight] -> the mean of squares of each weight."""
    return [
        np.mean([g**2 for g in of_weight], axis=0) for of_weight in zip(*gradients, strict=True)
    ]


@pytest.mark.parametrize("decay", [0.0, 0.02, 0.7])
def test_rms_takes_usual_gradients_from_the_training_text(monkeypatch, decay):
    """0.7 of the way back, times above-average gradients, is cut off at all of the way."""
    monkeypatch.setattr(dynamic, "STRETCHES", 3)
    monkeypatch.setattr(dynamic, "STRETCH_SEGMENTS", 2)
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer), Text(tokenizer, DOCUMENTS)
    hand = ByHand(model, tokenizer, 7)
    ids = tokenizer.encode(TRAINING)
    states = tokenizer.grammar.run(np.zeros(1, np.uint8), ids[:, None])[0][:, 0]
    middle = (len(ids) - 14) // 2
    assert states[middle]  # within a spelled character
    noted = []
    for begin in (0, middle, len(ids) - 14):
        before = ids[begin - 1] if begin else tokenizer.boundary_id
        part = hand.segments(ids[begin : begin + 14], int(before), int(states[begin]))
        noted += [gradients for _, gradients in part]
    assert len(noted) == 6
    wanted = hand.read(text, rms_step(hand, mean_squares(noted), 0.01, decay))
    found = read(model, tokenizer, text, TRAINING, lr=0.01, decay=decay, segment=7)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_rms_without_a_training_text_takes_them_from_what_it_has_read():
    tokenizer = tokenizer_of()
    model, text = model_of(tokenizer), Text(tokenizer, DOCUMENTS)
    hand = ByHand(model, tokenizer, 3)
    seen, used = [], 0

    def step(weights, gradients):
        nonlocal used, rule
        seen.append(gradients)
        if len(seen) >= RENEW * used:
            used = len(seen)
            rule = rms_step(hand, mean_squares(seen), 0.01, 0.02)
        return rule(weights, gradients)

    rule = None
    wanted = hand.read(text, step)
    found = read(model, tokenizer, text, lr=0.01, decay=0.02, segment=3)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert len(seen) > 40 and used < len(seen)


@pytest.mark.parametrize("rule", DYNAMIC_RULES)
class TestEveryRule:
    def test_a_score_depends_on_nothing_that_comes_later(self, rule):
        """Another token at any place changes no score before it."""
        tokenizer = tokenizer_of()
        model = model_of(tokenizer, layers=1)
        text = Text(tokenizer, [english(1, seed=3)])
        whole = read(model, tokenizer, text, rule=rule, segment=5)
        for place in (0, 4, 5, 12, len(text.ids) - 1):
            changed = Text(tokenizer, text.strings)
            changed.ids[place] = (changed.ids[place] + 1) % 5
            found = read(model, tokenizer, changed, rule=rule, segment=5)
            np.testing.assert_array_equal(found[:place], whole[:place])
            assert not np.array_equal(found[place:], whole[place:])

    @pytest.mark.parametrize("place", [0, 7, 10, 12])
    def test_chances_at_a_place_add_up_to_one(self, rule, place):
        """So none of them can have known which token it was: 7 ends a segment, 10 is spelled."""
        tokenizer = tokenizer_of()
        model = model_of(tokenizer, layers=1)
        ids = tokenizer.encode("the keeper"[:9] + "聞 lamp")[: place + 1]
        grammar = tokenizer.grammar
        state = grammar.state_before(ids, place)
        total = 0.0
        for token in np.flatnonzero(grammar.legal[state]):
            text = Text(tokenizer, ["x"])
            text.ids = np.array([*ids[:place], token])
            total += np.exp(-read(model, tokenizer, text, rule=rule, segment=4)[place])
        assert total == pytest.approx(1, rel=1e-9)

    def test_the_model_is_exactly_what_it_was(self, rule):
        tokenizer = tokenizer_of()
        model, text = model_of(tokenizer, dtype=torch.float32), Text(tokenizer, DOCUMENTS)
        before = [p.detach().clone() for p in model.parameters()]
        read(model, tokenizer, text, rule=rule, lr=0.3)
        assert all(map(torch.equal, model.parameters(), before))
        assert all(p.grad is None for p in model.parameters())

    def test_and_so_it_is_where_something_breaks_off(self, rule):
        tokenizer = tokenizer_of()
        model, text = model_of(tokenizer), Text(tokenizer, DOCUMENTS)
        before = [p.detach().clone() for p in model.parameters()]
        checks = itertools.count()

        def check():
            if next(checks) == 5:
                assert not all(map(torch.equal, model.parameters(), before))
                raise KeyboardInterrupt

        settings = DynamicSettings(dynamic_rule=rule)
        with (
            pytest.raises(KeyboardInterrupt),
            DynamicEvaluation(model, tokenizer, settings, check) as evaluation,
        ):
            list(evaluation.read(text.ids, text.documents))
        assert all(map(torch.equal, model.parameters(), before))

    def test_nothing_learned_is_the_static_figure(self, rule):
        tokenizer = tokenizer_of()
        model, text = model_of(tokenizer), Text(tokenizer, DOCUMENTS)
        static = measure(model, tokenizer, text.ids, text.documents, text.counts).nats
        assert read(model, tokenizer, text, rule=rule, lr=1e-12).sum() == pytest.approx(static)

    def test_a_text_that_repeats_itself_becomes_cheap(self, rule):
        tokenizer = tokenizer_of()
        model = model_of(tokenizer, dtype=torch.float32)
        text = Text(tokenizer, [english(1, seed=3) * 12])
        static = measure(model, tokenizer, text.ids, text.documents, text.counts).nats
        assert read(model, tokenizer, text, rule=rule).sum() < static
        lr = 10 * resolve(DYNAMIC_RULES, rule).usual_lr
        assert read(model, tokenizer, text, rule=rule, lr=lr).sum() < 0.85 * static

    def test_a_document_begins_from_the_empty_state_with_what_was_learned(self, rule):
        """Its first token costs what it costs alone only where nothing was learned before it."""
        tokenizer = tokenizer_of()
        model = model_of(tokenizer)
        first, second = english(1, seed=3), english(1, seed=4)
        after = read(model, tokenizer, Text(tokenizer, [first, second]), rule=rule, lr=0.01)
        alone = read(model, tokenizer, Text(tokenizer, [second]), rule=rule, lr=0.01)
        part = after[len(first) :]
        assert len(part) == len(alone) and abs(part[0] - alone[0]) > 1e-4
        unlearned = read(model, tokenizer, Text(tokenizer, [first, second]), rule=rule, lr=1e-12)
        still = read(model, tokenizer, Text(tokenizer, [second]), rule=rule, lr=1e-12)
        np.testing.assert_allclose(unlearned[len(first) :], still, rtol=1e-6)

    def test_its_usual_rate_is_what_help_says(self, rule):
        (lr,) = (f for f in settings_in(DynamicSettings) if f.name == "dynamic_lr")
        assert f"{rule} {resolve(DYNAMIC_RULES, rule).usual_lr:g}" in lr.setting.help

    def test_weights_that_are_no_numbers_end_it(self, rule, monkeypatch):
        def spoil(self, gradients):
            with torch.no_grad():
                self.weights[0].fill_(float("nan"))

        monkeypatch.setattr(resolve(DYNAMIC_RULES, rule), "step", spoil)
        tokenizer = tokenizer_of()
        model, text = model_of(tokenizer), Text(tokenizer, DOCUMENTS)
        with pytest.raises(DivergedError, match=r"--dynamic-lr 0\.5 is too large"):
            read(model, tokenizer, text, rule=rule, lr=0.5)
        assert all(torch.isfinite(p).all() for p in model.parameters())


def test_rules_are_rules():
    for name in DYNAMIC_RULES:
        assert issubclass(resolve(DYNAMIC_RULES, name), DynamicRule)
    assert resolve(DYNAMIC_RULES, "rms") is Rms
