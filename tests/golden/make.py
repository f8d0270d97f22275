"""The golden run: 20 steps of a small network on a fixed text, in fp32 on one thread.

`PYTHONPATH=tests python -m golden.make` writes its losses anew: only where a change of what
training computes was meant, and the change log says so.
"""

import json
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

if __name__ == "__main__":
    golden = {name: losses("auto", rates) for name, rates in RATES.items()}
    FILE.write_text(json.dumps(golden, indent=1) + "\n")
