"""How a trained model is run: on what, on how many threads, in which precision, by which kernel."""

import torch

from charlm.config import SETTINGS
from charlm.errors import UsageError
from charlm.model.kernels import libraries
from charlm.model.language_model import LanguageModel
from charlm.settings import BadValue
from charlm.training.precision import MOST_THREADS, fastest_threads


def put_to_work(
    model: LanguageModel,
    precision: str = "auto",
    threads: int | str = "auto",
    device: str = "auto",
    kernel: str = "auto",
) -> LanguageModel:
    """The model, moved and set; UsageError for a value out of its range, or no GPU."""
    place, dtype = workplace(precision, threads, device, kernel)
    model.to(place)
    model.kernel, model.precision = kernel, dtype
    return model


def workplace(
    precision: str = "auto",
    threads: int | str = "auto",
    device: str = "auto",
    kernel: str = "auto",
) -> tuple[torch.device, torch.dtype]:
    """Where and in which precision to run, the threads being set; errors as `put_to_work`."""
    given = {"precision": precision, "threads": threads, "device": device, "kernel": kernel}
    for name, value in given.items():
        entry = SETTINGS[f"optimisation.{name}"]
        try:
            entry.setting.read(value, entry.kind)
        except BadValue as error:
            raise UsageError(f"{name} is {value}; needed: {error}") from error
    libraries.settle()
    torch.set_num_threads(fastest_threads(MOST_THREADS) if threads == "auto" else int(threads))
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: there is no usable GPU here", "Leave it out.")
    # Figures are fp32 unless asked otherwise, so that they compare between machines.
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return torch.device("cuda" if device == "cuda" else "cpu"), dtype
