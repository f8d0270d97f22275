"""A small layer onto a vocabulary, and two losses of it compared in value and gradients."""

import numpy as np
import torch

from charlm.draws import Draws
from charlm.model.language_model import Architecture, LanguageModel
from charlm.model.legal import LegalTokens

T, B, H, E, V = 3, 4, 6, 5, 11


def model_of(tied, dtype=torch.float64):
    model = LanguageModel(Architecture(V, "gru", 1, H, E, tied)).initialise("default", Draws(1, 0))
    with torch.no_grad():
        model.decoder.bias.normal_(generator=torch.Generator().manual_seed(3))
    return model.to(dtype)


def legal_by_state(states=2):
    """(S, V): state 1 allows the last four tokens alone, state 0 all but the last two."""
    legal = np.ones((states, V), bool)
    legal[1, :-4], legal[0, -2:] = False, False
    return legal


def legal_of():
    return LegalTokens(legal_by_state(), torch.device("cpu"))


def places():
    """Targets (T, B) that are legal in their states (T, B)."""
    rng = np.random.default_rng(2)
    states = rng.integers(0, 2, (T, B))
    targets = np.where(states, V - 1 - rng.integers(0, 4, (T, B)), rng.integers(0, V - 2, (T, B)))
    return torch.tensor(targets), states


def assert_same_with_gradients(ours, wanted, tied, atol):
    """Two losses (model, outputs) -> scalar: the same, and their gradients of every array."""
    found = []
    for loss_of in (wanted, ours):
        model = model_of(tied)
        generator = torch.Generator().manual_seed(4)
        outputs = torch.randn(T, B, H, generator=generator, dtype=torch.float64, requires_grad=True)
        loss = loss_of(model, outputs)
        (2.5 * loss).backward()
        grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        found.append({"loss": loss.detach(), "outputs": outputs.grad, **grads})
    assert found[0].keys() == found[1].keys()
    for name, tensor in found[0].items():
        torch.testing.assert_close(found[1][name], tensor, rtol=0, atol=atol, msg=name)
