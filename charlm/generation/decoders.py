"""Which decoder writes: the compiled one, whose weights are cut to bf16, or NumPy's in fp32."""

from collections.abc import Callable

from charlm.config import Config
from charlm.errors import MachineError
from charlm.generation.compiled import compiled_decoder_of
from charlm.generation.context import StepDecoder
from charlm.generation.decoder import decoder_of
from charlm.generation.native.build import NotCompiledError
from charlm.generation.weights import Weights


def decoder_in(
    precision: str, config: Config, weights: Weights, say: Callable[[str], None]
) -> StepDecoder:
    """fp32; or bf16, compiled; or auto: bf16 where it can be, and `say` hears where it cannot.

    MachineError: bf16, where nothing can be compiled. RunError: weights of another network.
    """
    if precision == "fp32":
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
