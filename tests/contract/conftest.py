"""What the tests of the contract share."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread_again() -> Iterator[None]:
    """Commands that run inside this process may have set another number."""
    yield
    torch.set_num_threads(1)
