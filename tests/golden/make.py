"""The golden run: 20 steps of a small network on a fixed text, in fp32 on one thread.

Its losses are kept bit for bit, for each kind of machine that they were written on: libraries
add up in an order that depends on the processor. `PYTHONPATH=tests python -m golden.make` writes
those of this kind anew: only where a change of what training computes was meant, and the change
log says so, and on a kind that has none.
"""

import hashlib
import json
import platform
import re
from pathlib import Path

import numpy as np
import torch
from reference.texts import english

from charlm.draws import Draws
from charlm.model.dropout import DropoutRates
from charlm.model.language_model import Architecture, LanguageModel
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer
from charlm.training.batches import StreamBatches
from charlm.training.gradients import clip
from charlm.training.language_modelling import LanguageModelling
from charlm.training.optimizers import adamw
from charlm.training.schedules import cosine, warm_up

FILE = Path(__file__).parent / "lstm_losses.json"
KERNELS = ("auto", "fused", "reference")
STEPS, SEED, LR = 20, 5, 0.03


def losses(kernel: str, temporal: DropoutRates) -> list[float]:
    """Nats per token of each step, as training computes them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _losses(kernel, temporal)
    finally:
        torch.set_num_threads(threads)


def _losses(kernel: str, rates: DropoutRates) -> list[float]:
    texts = [english(30, seed=1) + "É\n", english(20, seed=2)]
    tokenizer = fit_tokenizer(TokenizerSettings(kind="char"), texts)
    parts = [tokenizer.encode(text) for text in texts]
    ids, documents = np.concatenate(parts), np.array([0, len(parts[0])])
    architecture = Architecture(tokenizer.vocabulary_size, "lstm", 2, 24, 12, True)
    model = LanguageModel(architecture).initialise("orthogonal", Draws(SEED, 0))
    model.kernel = kernel
    batches = StreamBatches(
        ids, documents, tokenizer.boundary_id, tokenizer.grammar, 4, 16, 0.1, SEED
    )
    task = LanguageModelling(model, batches, rates, SEED)
    optimizer = adamw(model.named_parameters(), LR, 0.1)
    found = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = LR * cosine(step / STEPS, ()) * warm_up(step, 3)
        loss = task.loss(step).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip(list(model.parameters()), 1.0)
        optimizer.step()
        found.append(loss.item())
    return found


RATES = {
    "no dropout": DropoutRates(),
    "variational": DropoutRates(0.1, 0.2, 0.2, 0.3, "variational", "shared"),
    "weight-drop": DropoutRates(0.1, 0.2, 0.2, 0.3, "weight-drop"),
}


def machine_kind() -> str:
    """What the bits of a product depend on: the processor, its caches, torch and its path."""
    about = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")  # not everywhere
    if cpuinfo.exists():
        named = r"^(?:vendor_id|cpu family|model|model name|cache size|flags)\s*: .*"
        about = "\n".join(re.findall(named, cpuinfo.read_text().split("\n\n")[0], re.MULTILINE))
    capability = torch.backends.cpu.get_cpu_capability()
    short = hashlib.sha256(about.encode()).hexdigest()[:12]
    return f"{platform.machine()} {capability} {short}, torch {torch.__version__}"


def all_losses() -> dict[str, dict[str, list[float]]]:
    """By kernel and dropout."""
    return {
        kernel: {name: losses(kernel, rates) for name, rates in RATES.items()} for kernel in KERNELS
    }


if __name__ == "__main__":
    golden = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.write_text(json.dumps(golden | {machine_kind(): all_losses()}, indent=1) + "\n")
