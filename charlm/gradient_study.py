"""Gradients through time, of a trained run or of fresh networks, on a text."""

import tempfile
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from charlm import registry
from charlm.evaluation.device import put_to_work
from charlm.evaluation.fresh_networks import fresh_network
from charlm.evaluation.gradient_flow import gradient_flow, windows
from charlm.evaluation.own_text import held_out_part
from charlm.gradient_settings import FreshSettings, GradientSettings
from charlm.loaded import Model
from charlm.text.corpus import Reading, blocks_of
from charlm.text.sources import expand
from charlm.text.token_cache import prepare_whole
from charlm.text.tokenizers.base import TokenizerSettings, fit_tokenizer

_CHARACTERS = 200_000  # of a text that fresh networks read


def of_run(
    model: Model,
    text: str | Path | None,
    settings: GradientSettings,
    reading: Reading,
) -> dict[str, Any]:
    """Its flow on `text`, or on the run's own held-out part. DataError: too short, or gone."""
    direction = model.config.model.direction
    with tempfile.TemporaryDirectory(prefix="charlm-") as folder:
        if text is None:
            part = held_out_part(model.stored, direction, reading.say)
        else:
            part = prepare_whole(
                [text],
                model.tokenizer,
                Path(folder),
                direction=direction,
                encoding=reading.encoding,
                errors=reading.errors,
                stdin=reading.stdin,
                say=reading.say,
            )
        ids = np.array(part.ids)
    # Small gradients are what is looked for: float64, on which the library kernels do not run.
    network = put_to_work(model.language_model, threads=1, device="cpu").double()
    grammar = model.tokenizer.grammar
    found = windows(ids, grammar, settings.steps, settings.streams)
    return gradient_flow(network, grammar, found, settings.clip_norm).as_dict()


def of_fresh_networks(
    names: Sequence[str],
    text: str | Path,
    settings: GradientSettings,
    fresh: FreshSettings,
    reading: Reading,
) -> dict[str, Any]:
    """The flow of each, by name, over the characters of `text`. UsageError, DataError."""
    import torch

    blocks = (block for source in expand([text]) for block in blocks_of(source, reading))
    characters = "".join(islice(chain.from_iterable(blocks), _CHARACTERS))
    tokenizer = fit_tokenizer(TokenizerSettings(kind="char"), [characters])
    grammar = tokenizer.grammar
    found = windows(tokenizer.encode(characters), grammar, settings.steps, settings.streams)
    torch.set_num_threads(1)
    flows = {}
    for name in names or registry.FRESH_NETWORKS:
        network = fresh_network(name, tokenizer.vocabulary_size, fresh.hidden_size, fresh.seed)
        flows[name] = gradient_flow(network.double(), grammar, found, settings.clip_norm).as_dict()
    return flows
