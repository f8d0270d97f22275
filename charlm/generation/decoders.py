"""Which decoder writes: the compiled one, whose weights are cut to bf16, or NumPy's in fp32."""

from collections.abc import Callable

from charlm.config import Config
from charlm.errors import MachineError, UsageError
from charlm.generation.compiled import compiled_decoder_of
from charlm.generation.context import StepDecoder
from charlm.generation.decoder import decoder_of
from charlm.generation.native.build import NotCompiledError
from charlm.generation.native.packing import code_of
from charlm.generation.weights import Weights, checked_cell


def decoder_in(
    precision: str, config: Config, weights: Weights, say: Callable[[str], None]
) -> StepDecoder:
    """fp32; or bf16, compiled; or auto: bf16 where it can be, and `say` hears where it cannot.

    UsageError: bf16 of a cell without compiled steps. MachineError: where nothing can be compiled.
    RunError: weights of another network.
    """
    cell = checked_cell(config, weights)
    if code_of(cell) is None and precision == "bf16":
        raise UsageError(
            f"--precision bf16 writes by compiled steps, and there are none for {cell.name}",
            "Leave it out.",
        )
    if precision == "fp32" or code_of(cell) is None:
        return decoder_of(config, weights)
    try:
        return compiled_decoder_of(config, weights, say)
    except NotCompiledError as error:
        if precision == "bf16":
            raise MachineError(
                f"the decoder cannot be compiled here: {error}", "Use --precision fp32."
            ) from error
        say(f"The decoder cannot be compiled here ({error}): this is slower, in fp32.")
        return decoder_of(config, weights)
