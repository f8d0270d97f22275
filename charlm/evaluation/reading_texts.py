"""What a network makes of whole texts: vectors, and logits of their classes; dropout off.

Texts of like length are read side by side; what comes out is in the order of what went in.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from charlm import registry
from charlm.model.classifier import Classifier
from charlm.model.language_model import Encoder
from charlm.model.pooling import Pooling
from charlm.model.whole_texts import Texts, read
from charlm.text.text_ids import TextIds
from charlm.text.tokenizers.base import Tokenizer
from charlm.training.text_batches import side_by_side

CHUNK = 128  # time steps of one pass
_TOKENS = 2**15  # of one batch
_MOST = 256  # texts of one batch


def texts_to_read(
    texts: Sequence[str],
    tokenizer: Tokenizer,
    directions: Sequence[str],
    max_length: int = sys.maxsize,
) -> TextIds:
    """Texts as they are read. DataError: a lone surrogate."""
    ids = [tokenizer.encode(text) for text in texts]
    return TextIds(ids, tokenizer, max_length, directions)


def vectors_of(
    encoders: Sequence[Encoder],
    pooling: str,
    texts: TextIds,
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """The pooled outputs of all encoders beside each other: (N, F) in fp32."""
    kind: Pooling = registry.resolve(registry.POOLINGS, pooling)

    def found(batch: list[Texts]) -> Tensor:
        each = [
            kind(read(encoder, one, CHUNK)[0], one.lengths).flatten(1)
            for encoder, one in zip(encoders, batch, strict=True)
        ]
        return torch.cat(each, dim=1)

    device = encoders[0].embedding.weight.device
    return _of_batches(texts, len(encoders), found, device, check)


def logits_of(
    model: Classifier, texts: TextIds, check: Callable[[], None] = lambda: None
) -> np.ndarray:
    """log p (N, C) in fp32; of several heads that of their mean probabilities."""

    def found(batch: list[Texts]) -> Tensor:
        heads, _ = model(batch, CHUNK)
        logs = torch.stack([torch.log_softmax(head, dim=1) for head in heads])
        mean: Tensor = torch.logsumexp(logs, dim=0) - math.log(len(heads))
        return mean

    device = model.readers[0].embedding.weight.device
    return _of_batches(texts, len(model.readers), found, device, check)


@torch.inference_mode()
def _of_batches(
    texts: TextIds,
    encoders: int,
    function: Callable[[list[Texts]], Tensor],
    device: torch.device,
    check: Callable[[], None],
) -> np.ndarray:
    rows: list[np.ndarray] = []
    numbers: list[int] = []
    for batch in _batches(texts.lengths):
        check()
        ids = [
            side_by_side([texts.read(number, encoder) for number in batch], 0)
            for encoder in range(encoders)
        ]
        placed = [Texts(one.ids.to(device), one.lengths.to(device)) for one in ids]
        rows.append(function(placed).float().cpu().numpy())
        numbers += batch
    found = np.concatenate(rows)
    ordered = np.empty_like(found)
    ordered[numbers] = found
    return ordered


def _batches(lengths: np.ndarray) -> Iterator[list[int]]:
    """Numbers of texts, the shortest first, as many as a batch may hold."""
    batch: list[int] = []
    for number in np.argsort(lengths, kind="stable").tolist():
        if batch and (len(batch) == _MOST or (len(batch) + 1) * lengths[number] > _TOKENS):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch
