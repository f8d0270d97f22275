"""What torchrun tells each of the processes that it starts, by its environment."""

import os


def size() -> int:
    """How many processes there are; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def several() -> bool:
    """Whether there is more than this process, whatever else stands in the environment."""
    return os.environ.get("WORLD_SIZE", "") not in ("", "1")


def local_rank() -> int:
    """Which one of this machine's this is."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def follows() -> bool:
    """Whether there is a first process beside this one, which speaks for all."""
    return int(os.environ.get("RANK", "0")) > 0
