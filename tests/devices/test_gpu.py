"""What a GPU computes is what the CPU computes. Run where there is one, and skipped elsewhere."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from model.kinds import CELLS, DROPOUTS, goes_with
from reference.texts import english

import charlm
from charlm.draws import Draws
from charlm.model.dropout import DropoutRates
from charlm.model.kernels import libraries, providers
from charlm.model.language_model import Architecture
from charlm.model.stack import Border, RecurrentStack
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from charlm.training.batches import StreamBatches
from charlm.training.language_modelling import LanguageModelling

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")

T, B, E, SIZES = 9, 4, 6, (16, 12)
TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 0.1}


@pytest.fixture(autouse=True)
def settled():
    libraries.settle()


def stack_of(cell, rates):
    zoneout = rates.temporal if rates.temporal_kind == "zoneout" else 0.0
    stack = RecurrentStack(cell.make(), E, SIZES, cell.bias, zoneout)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in stack.parameters():
            weight.normal_(0, 0.25, generator=generator)
    return stack


class DrawnOnTheCPU(Draws):
    """So that both devices drop the same."""

    def uniform(self, place, shape, streams=None, device="cpu"):
        return super().uniform(place, shape, streams).to(device)


def passed(stack, device, kernel, rates, dtype):
    """Output, state and every gradient, on the CPU, of a window with a border in it."""
    stack.to(device).zero_grad()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(T, B, E, generator=generator).to(device).requires_grad_()
    borders = [Border(4, torch.tensor([True, False, False, True], device=device))]
    draws = DrawnOnTheCPU(7, 11) if rates.temporal else None
    y, state = stack(x, stack.empty_state(B), borders, rates, draws, kernel, dtype)
    parts = [y.float(), *(part for layer in state for part in layer)]
    found = torch.cat([part.flatten() for part in parts])
    weights = torch.linspace(-1, 1, len(found), device=device)
    (found * weights).sum().backward()
    gradients = [x.grad, *(p.grad for p in stack.parameters())]
    return [tensor.detach().cpu() for tensor in (found, *gradients)]


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("kernel", ["auto", "fused"])
@pytest.mark.parametrize("rates", DROPOUTS.values(), ids=DROPOUTS)
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_layers_forward_and_backward(cell, rates, kernel, dtype):
    if not goes_with(cell, rates):
        pytest.skip("nothing recurs, so nothing is dropped in time")
    stack = stack_of(cell, rates)
    wanted = passed(stack, "cpu", "reference", rates, torch.float32)
    found = passed(stack, "cuda", kernel, rates, dtype)
    for one, other in zip(found, wanted, strict=True):
        # By their length: rounded to bf16, a relu near 0 is on its other side now and then.
        assert (one - other).norm() <= TOLERANCES[dtype] * other.norm()


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn tanh", "rnn relu"])
def test_the_library_s_kernel_is_taken(name):
    x = torch.zeros(T, B, E, device="cuda")
    assert providers.provider(CELLS[name].make(), x, True) is not None


def losses(device, **more):
    """Of three windows of learning to predict text in which characters are spelled, the gradient
    after each, and the carried state."""
    text = english(6) + " «ä» \n"
    tokenizer = fit_tokenizer(TokenizerSettings(kind="char", min_count=2), [text])
    a = Architecture(tokenizer.vocabulary_size, "lstm", 2, 16, 12, False, **more)
    model = a.build().initialise("orthogonal", Draws(1, 0)).to(device)
    batches = StreamBatches(
        tokenizer.encode(text), np.zeros(1, np.int64), tokenizer.boundary_id, tokenizer.grammar,
        4, 12, 0.2, 1,
    )  # fmt: skip
    task = LanguageModelling(model, batches, DropoutRates(), 1, 0.5, 0.5)
    found = []
    for step in range(3):
        model.zero_grad()
        one = task.loss(step)
        (one.loss + one.penalty).backward()
        found += [one.loss.detach(), *(p.grad.to_dense() for p in model.parameters()
                                       if p.requires_grad)]  # fmt: skip
    return [tensor.cpu() for tensor in (*found, *task.carried().values())]


@pytest.mark.parametrize(
    "more",
    [{}, {"ngram_order": 3, "ngram_rows": 97}, {"softmax": "adaptive", "cutoffs": (270,)}],
    ids=["full softmax", "n-grams", "adaptive softmax"],
)
def test_windows_of_text(more):
    for one, other in zip(losses("cuda", **more), losses("cpu", **more), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_draws_are_the_seed_s_and_do_not_depend_on_how_streams_are_dealt():
    from charlm.draws import Share

    whole = Draws(3, 5).uniform("here", (4, 6), 1, "cuda")
    again = Draws(3, 5).uniform("here", (4, 6), 1, "cuda")
    assert torch.equal(whole, again) and whole.is_cuda
    part = Draws(3, 5, Share.deal(6, 1, 3)).uniform("here", (4, 2), 1, "cuda")
    assert torch.equal(part, whole[:, 2:4])
    assert not torch.equal(whole, Draws(3, 6).uniform("here", (4, 6), 1, "cuda"))
    assert float(whole.min()) >= 0 and float(whole.max()) < 1


TRAINING = {
    "hidden_size": 24, "embedding_size": 12, "layers": 2, "batch_size": 4, "bptt": 16, "seed": 3,
    "precision": "fp32", "threads": 1, "report_every": 5, "dropout": 0.0, "save_every": 0.0,
    "temporal_dropout": 0.0, "lr": 0.01, "eval_every": 10, "schedule": "constant",
    "warmup_steps": 0, "reset_probability": 0.0,
}  # fmt: skip


def reports(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["nats_per_token"] for line in lines if "nats_per_token" in line]


@pytest.mark.parametrize(
    "more",
    [{"optimizer": name} for name in ("sgd", "nt-asgd", "rmsprop", "adam", "adamw", "muon")]
    + [{"ema": 0.9}, {"ngram_order": 3, "cell": "gru"}, {"tie_weights": True}],
    ids=str,
)
def test_a_run_learns_as_on_the_cpu(more, tiny_text, tmp_path):
    more = TRAINING | more | ({"lr": 1.0} if "asgd" in str(more) or "'sgd'" in str(more) else {})
    for device in ("cpu", "cuda"):
        charlm.train([tiny_text], tmp_path / device, steps=20, device=device, **more)
    found, wanted = reports(tmp_path / "cuda"), reports(tmp_path / "cpu")
    assert len(wanted) >= 4
    np.testing.assert_allclose(found, wanted, rtol=2e-3)


def test_a_run_goes_on_where_it_stopped_exactly(tiny_text, tmp_path):
    more = TRAINING | {"device": "cuda", "dropout": 0.3, "temporal_dropout": 0.2, "ema": 0.9}
    charlm.train([tiny_text], tmp_path / "whole", steps=20, **more)
    charlm.train([tiny_text], tmp_path / "parts", steps=10, **more)
    charlm.train(out=tmp_path / "parts", resume=True, steps=20)
    assert reports(tmp_path / "parts")[-2:] == reports(tmp_path / "whole")[-2:]


def outputs(words, stdin=None):
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    done = subprocess.run(
        [sys.executable, "-m", "charlm", *map(str, words)],
        input=stdin, capture_output=True, text=True, env=environment, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers_of(value):
    """Every number in a JSON value, in order."""
    if isinstance(value, dict):
        return [n for name in sorted(value) for n in numbers_of(value[name])]
    if isinstance(value, list):
        return [n for one in value for n in numbers_of(one)]
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "RUN", "TEXT", "--json"],
        ["evaluate", "RUN", "TEXT", "--json", "--window", "32"],
        ["evaluate", "RUN", "TEXT", "--json", "--temperature", "0.8"],
        ["evaluate", "RUN", "TEXT", "--json", "--dynamic"],
        ["evaluate", "RUN", "TEXT", "--json", "--cache"],
        ["score", "RUN", "TEXT", "--json", "--per-token"],
        ["embed", "RUN", "TEXT", "--json"],
    ],
    ids=" ".join,
)
def test_a_run_is_measured_as_on_the_cpu(words, tiny_run, tiny_text):
    places = {"RUN": tiny_run, "TEXT": tiny_text}
    words = [places.get(word, word) for word in words]
    found, wanted = (
        [
            numbers_of(json.loads(line))
            for line in outputs([*words, "--device", device]).splitlines()
        ]
        for device in ("cuda", "cpu")
    )
    assert sum(map(len, wanted))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_a_run_made_on_a_gpu_writes_without_one(tiny_text, tmp_path):
    charlm.train([tiny_text], tmp_path / "run", steps=20, device="cuda", **TRAINING)
    assert len(outputs(["generate", tmp_path / "run", "--length", "50", "--seed", "1"])) > 20


@pytest.mark.parametrize("run", ["none", "RUN"])
def test_a_classifier_learns_and_answers(run, tiny_run, tmp_path):
    table = tmp_path / "table.csv"
    rows = [f'"{"a pain in ward" if n % 2 else "tea and bread"} {n}",{n % 2}' for n in range(80)]
    table.write_text("text,label\n" + "\n".join(rows) + "\n")
    out = tmp_path / "classifier"
    outputs(["finetune-classify", tiny_run if run == "RUN" else run, table, "--out", out,
             "--device", "cuda", "--steps", "40", "--batch-size", "8"])  # fmt: skip
    answered = {}
    for device in ("cuda", "cpu"):
        words = ["classify", out, table, "--text-column", "text", "--json", "--device", device]
        answered[device] = [numbers_of(json.loads(x)) for x in outputs(words).splitlines()]
    np.testing.assert_allclose(answered["cuda"], answered["cpu"], atol=2e-3)


def test_processes_on_gpus_learn_together(tiny_text, tmp_path):
    """As many processes as there are GPUs, by NCCL."""
    count = torch.cuda.device_count()
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
         str(count), "-m", "charlm", "train", str(tiny_text), "--out", str(tmp_path / "run"),
         "--steps", "10", "--hidden-size", "16", "--batch-size", "8", "--device", "cuda"],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["steps"] == 10
