"""Gradients through time against central differences of the equations in NumPy."""

import json

import numpy as np
import pytest
import torch
from contract.command import call
from contract.command import charlm as charlm_
from model.kinds import CELLS
from reference.cells_numpy import run
from reference.texts import english
from report.pictures import curves, texts

import charlm
from charlm.draws import Draws
from charlm.errors import DataError, UsageError
from charlm.evaluation.fresh_networks import fresh_network
from charlm.evaluation.gradient_flow import distances, gradient_flow, windows
from charlm.model.language_model import Architecture, LanguageModel
from charlm.report.gradient_tables import gradient_picture, gradient_rows
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer

T, B, E, H = 3, 4, 5, 6
SMALL = 1e-5
TEXT = english(40)


@pytest.fixture(scope="module")
def tokenizer():
    return fit_tokenizer(TokenizerSettings(kind="char"), [TEXT])


class Brute:
    """The loss of the last step from any state on, by NumPy."""

    def __init__(self, model, grammar, found):
        self.found, self.legal = found, grammar.legal
        self.a = model.architecture
        below, layer = model.layers
        with torch.no_grad():
            x = model.embedding.weight[found.inputs].numpy()
            self.out, self.bias = model.decoder.weight.numpy(), model.decoder.bias.numpy()
        self.weights = self._weights(layer)
        self.empty = [np.zeros((B, H)) for _ in model.layers.cell.state_names]
        self.x, _ = self._run(x, self.empty, self._weights(below))

    def _weights(self, layer):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(layer, name).detach().numpy() for name in names]

    def _run(self, x, state, weights):
        zone = None
        if self.a.zoneout:
            zone = [np.full((len(x), B, H), self.a.zoneout) for _ in state]
        return run(self.a.cell, self.a.nonlinearity, x, state, *weights, zone=zone)

    def step(self, t, state, weight_hh=None):
        weights = list(self.weights)
        weights[1] = weights[1] if weight_hh is None else weight_hh
        return self._run(self.x[t : t + 1], state, weights)[1]

    def states(self):
        found = [self.empty]
        for t in range(T):
            found.append(self.step(t, found[-1]))
        return found

    def losses(self, state, t):
        """(B,) of the last step, with `state` after step t."""
        if t + 1 < T:
            _, state = self._run(self.x[t + 1 :], state, self.weights)
        y = state[0] @ self.out.T + self.bias
        y = np.where(self.legal[self.found.states[-1]], y, -np.inf)
        wanted = y[np.arange(B), self.found.targets[-1].numpy()]
        return np.log(np.exp(y).sum(1)) - wanted


def slopes(function, values):
    """Central differences of function(values) for each number in the last axes of `values`."""
    found = []
    for place in np.ndindex(*values.shape):
        both = []
        for sign in (1, -1):
            moved = values.copy()
            moved[place] += sign * SMALL
            both.append(function(moved))
        found.append((both[0] - both[1]) / 2 / SMALL)
    return np.array(found)


def model_of(kind, tokenizer, zoneout=0.0):
    a = Architecture(
        tokenizer.vocabulary_size, kind.cell, 2, H, E, False, nonlinearity=kind.nonlinearity,
        bias=kind.bias, zoneout=zoneout,
    )  # fmt: skip
    model = LanguageModel(a).initialise("default", Draws(2, 0)).double()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=generator, dtype=torch.float64) * 0.3)
    return model


@pytest.mark.parametrize(
    ("name", "zoneout"),
    [
        *((name, 0.0) for name, kind in CELLS.items() if kind.make().recurrent),
        ("lstm", 0.3),
        ("gru", 0.3),
    ],
)
def test_every_norm_by_central_differences(name, zoneout, tokenizer):
    model = model_of(CELLS[name], tokenizer, zoneout)
    found = windows(tokenizer.encode(TEXT), tokenizer.grammar, T, B)
    flow = gradient_flow(model, tokenizer.grammar, found, 1.0)
    brute = Brute(model, tokenizer.grammar, found)
    states = brute.states()
    for part, state_name in enumerate(model.layers.cell.state_names):
        for k in range(T):
            after = states[T - k]

            def losses(values, part=part, after=after, k=k):
                state = [values if n == part else p for n, p in enumerate(after)]
                if part and not zoneout:  # h = o tanh(c) goes along
                    state[0] = after[0] / np.tanh(after[1]) * np.tanh(values)
                return brute.losses(state, T - 1 - k)

            grad = slopes(losses, after[part])  # (B * H, B): of each stream's own loss
            rms = np.sqrt((grad**2).sum() / B)
            assert flow.state[state_name][k] == pytest.approx(rms, rel=1e-5, abs=1e-9)
    assert flow.distances == [0, 1, 2]
    for k, norm in zip(flow.distances, flow.weight, strict=True):
        t = T - 1 - k

        def mean_loss(weight_hh, t=t):
            return brute.losses(brute.step(t, states[t], weight_hh), t).mean()

        assert norm == pytest.approx(
            np.linalg.norm(slopes(mean_loss, brute.weights[1])), rel=1e-5, abs=1e-9
        )
    for t, value in enumerate(flow.largest_singular_values):
        before = np.concatenate([part[0] for part in states[t]])

        def after(values, t=t):
            parts = np.split(values, len(states[t]))
            whole = [part.copy() for part in states[t]]
            for old, new in zip(whole, parts, strict=True):
                old[0] = new
            return np.concatenate([part[0] for part in brute.step(t, whole)])

        wanted = np.linalg.svd(slopes(after, before))[1][0]
        assert value == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("name", ["feedforward", "conv"])
def test_without_recurrence_there_is_nothing_to_follow(name, tokenizer):
    found = windows(tokenizer.encode(TEXT), tokenizer.grammar, T, B)
    with pytest.raises(UsageError, match="no connections through time"):
        gradient_flow(model_of(CELLS[name], tokenizer), tokenizer.grammar, found, 1.0)


def test_clipping_is_what_training_does(tokenizer):
    model = model_of(CELLS["lstm"], tokenizer)
    found = windows(tokenizer.encode(TEXT), tokenizer.grammar, T, B)
    free = gradient_flow(model, tokenizer.grammar, found, 1e9)
    assert free.clipped_norm == pytest.approx(free.gradient_norm)
    cut = gradient_flow(model, tokenizer.grammar, found, free.gradient_norm / 3)
    assert cut.gradient_norm == free.gradient_norm
    assert cut.clipped_norm == pytest.approx(free.gradient_norm / 3, rel=1e-5)
    assert cut.state == free.state
    assert all(p.grad is None for p in model.parameters())


def test_windows_are_pieces_of_the_text_that_follow_each_other(tokenizer):
    ids = tokenizer.encode(TEXT)
    found = windows(ids, tokenizer.grammar, 7, 5)
    assert found.inputs.shape == found.targets.shape == found.states.shape == (7, 5)
    assert torch.equal(found.inputs[1:], found.targets[:-1])
    text = TEXT
    for stream in range(5):
        piece = tokenizer.decode(found.targets[:, stream].numpy())
        assert piece in text
    with pytest.raises(DataError, match=r"needed: more than the 1000000 steps"):
        windows(ids, tokenizer.grammar, 1_000_000, 5)
    assert distances(100) == [0, 1, 2, 5, 10, 20, 50, 99]


def kept(name, tokenizer, k=50):
    found = windows(tokenizer.encode(TEXT), tokenizer.grammar, k + 1, 8)
    model = fresh_network(name, tokenizer.vocabulary_size, 32, 1).double()
    flow = gradient_flow(model, tokenizer.grammar, found, 1.0)
    return flow, flow.state["h"][k] / flow.state["h"][0]


def test_what_the_lecture_claims_of_fresh_networks(tokenizer):
    shares = {}
    for name in ("sigmoid", "tanh", "identity-relu", "exploding-relu", "lstm"):
        flow, shares[name] = kept(name, tokenizer)
        if name == "sigmoid":  # its slope is at most a quarter, and W_hh orthogonal
            assert max(flow.largest_singular_values) <= 0.25 + 1e-12
            assert shares[name] <= 0.25**50
        if name == "identity-relu":
            assert max(flow.largest_singular_values) == pytest.approx(1)
        if name == "exploding-relu":
            assert flow.gradient_norm > 100 and flow.clipped_norm == pytest.approx(1, rel=1e-4)
    assert shares["sigmoid"] < 1e-20 < shares["tanh"] < 1e-4
    assert shares["lstm"] > 100 * shares["tanh"]
    assert 0.1 < shares["identity-relu"] <= 1 and shares["exploding-relu"] > 100


QUICK = ("--steps", "12", "--streams", "3")


def flows_of(*arguments):
    done = call("gradients", *arguments, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_run_is_followed_on_its_own_text_or_another(tiny_run, tmp_path, words):
    own = flows_of(tiny_run, *QUICK)
    assert list(own["networks"]) == [str(tiny_run)] and own["steps"] == 12
    (flow,) = own["networks"].values()
    assert set(flow["state"]) == {"h", "c"} and len(flow["state"]["c"]) == 12
    other = tmp_path / "other.txt"
    other.write_text(words(9, 20), "utf-8")
    found = flows_of(tiny_run, *QUICK, "--text", other)
    assert found["networks"] != own["networks"]
    charlm.api.export(tiny_run, tmp_path / "a.charlm")
    exported = flows_of(tmp_path / "a.charlm", *QUICK, "--text", other)
    assert list(exported["networks"].values()) == list(found["networks"].values())
    assert call("gradients", tmp_path / "a.charlm", *QUICK).code == 3
    assert call("gradients", tiny_run, "--text", tmp_path / "none.txt").code == 3
    assert call("gradients", tiny_run, "--steps", "2000").code == 3


@pytest.mark.parametrize("run", [["RUN"], ["--network", "lstm", "--hidden-size", "8"]])
def test_the_text_may_come_in_any_encoding_or_from_a_pipe(run, tiny_run, tmp_path, words):
    run = [str(tiny_run) if word == "RUN" else word for word in run]
    text, odd = words(9, 20) + "thé " * 20, tmp_path / "odd.txt"
    odd.write_bytes(text.encode("latin-1"))
    refused = call("gradients", *run, *QUICK, "--text", odd)
    assert refused.code == 3 and "--encoding" in refused.err
    found = flows_of(*run, *QUICK, "--text", odd, "--encoding", "latin-1")
    assert flows_of(*run, *QUICK, "--text", odd, "--errors", "replace")
    piped = charlm_("gradients", *run, *QUICK, "--text", "-", "--json", stdin=text.encode())
    assert json.loads(piped.out) == found


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "gru", "layers": 2, "tokenizer": "word"},
        {"cell": "rnn", "direction": "backward", "temporal_dropout_kind": "zoneout"},
    ],
)
def test_any_run_can_be_followed(settings, tiny_text, tmp_path):
    charlm.train([tiny_text], tmp_path / "run", steps=3, hidden_size=8, batch_size=2, bptt=8,
                 threads=1, precision="fp32", **settings)  # fmt: skip
    found = flows_of(tmp_path / "run", *QUICK)
    (flow,) = found["networks"].values()
    assert all(value is not None and value > 0 for value in flow["state"]["h"])


def test_a_network_without_recurrence_has_no_gradient_through_time(tiny_text, tmp_path):
    charlm.train([tiny_text], tmp_path / "run", steps=4, cell="conv", hidden_size=8, batch_size=2,
                 bptt=16, report_every=2, threads=1, precision="fp32")  # fmt: skip
    done = call("gradients", tmp_path / "run", *QUICK)
    assert done.code == 2 and "no connections through time" in done.err
    train = [r for r in charlm.api.history(tmp_path / "run").records if r["split"] == "train"]
    assert len(train) == 2 and not any("gradient_carried" in record for record in train)
    done = call("report", tmp_path / "run", "--out", tmp_path / "a.html")
    assert done.code == 0
    assert "How far back it learns" not in (tmp_path / "a.html").read_text("utf-8")


def test_every_option_of_fresh_networks_changes_what_is_found(tmp_path, words):
    base = ("--network", "tanh", "--hidden-size", "8", *QUICK)
    usual = flows_of(*base)["networks"]
    text = tmp_path / "text.txt"
    text.write_text(words(9, 20), "utf-8")
    changes = (
        ("--network", "gru"), ("--hidden-size", "9"), ("--steps", "13"), ("--streams", "4"),
        ("--seed", "2"), ("--clip-norm", "0.01"), ("--text", str(text)),
    )  # fmt: skip
    for change in changes:
        assert flows_of(*base, *change)["networks"] != usual, change


def test_the_table_and_the_picture_hold_the_numbers(tmp_path):
    names = ("sigmoid", "lstm", "exploding-relu")
    options = [word for name in names for word in ("--network", name)]
    found = flows_of(*options, "--hidden-size", "8", *QUICK)["networks"]
    done = call("gradients", *options, "--hidden-size", "8", *QUICK, "--out", tmp_path / "a.svg")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert rows[0] == ["", *names]
    table = {row[0]: row[1:] for row in rows[1:]}
    wanted = [f"{found[name]['state']['h'][5]:.3g}" for name in names]
    assert table["|dL_t/dh_t-5|"] == wanted
    assert table["|dL_t/dc_t-5|"] == ["-", f"{found['lstm']['state']['c'][5]:.3g}", "-"]
    assert len(gradient_rows(found)) == len(rows) - 1
    svg = (tmp_path / "a.svg").read_text("utf-8")
    assert set(names) <= set(texts(svg))
    assert sum(len(line) == 12 for line in curves(svg)) >= 2
    empty = {name: {**flow, "state": {"h": [0.0] * 12}} for name, flow in found.items()}
    gradient_picture(empty)  # a gradient of nothing has no logarithm


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--network", "cnn"), 2, "--network is cnn; needed: sigmoid"),
        (("RUN", "--hidden-size", "8"), 2, "--hidden-size is for fresh networks"),
        (("RUN", "--network", "gru"), 2, "--network is for fresh networks"),
        (("--steps", "1"), 2, "steps is 1; needed: a whole number from 2"),
        (("--clip-norm", "nan"), 2, "clip_norm is nan"),
        (("--out", "a.pdf"), 2, "is to be a picture"),
        (("nowhere",), 4, "does not exist"),
    ],
)
def test_refusals(arguments, code, said, tiny_run):
    done = call("gradients", *(str(tiny_run) if word == "RUN" else word for word in arguments))
    assert (done.code, done.out) == (code, "")
    assert said in done.err.replace("-", "_") or said in done.err
