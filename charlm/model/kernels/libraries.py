"""How the libraries behind torch are set, before their first product.

oneDNN keeps what it has prepared for each shape, of the last 1,024 shapes unless it is told
otherwise: texts of all lengths filled that up by 0.2 to 2 KB a line, 200 MiB in all
(scripts/LOG.md). cuDNN rounds what its recurrent products read to the 10 bits of TF32, and
streams of a GPU share a workspace in whatever order they come to it, unless they are told not to.
"""

import os

import torch

_SHAPES = 128


def settle() -> None:
    """From now on memory is flat over texts of all lengths; and on a GPU fp32 is fp32, and sums
    are taken in one order, so that a run goes on exactly."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_SHAPES))
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.rnn.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True
