"""What a person chooses about new text: how tokens are chosen, and when writing ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from charlm.errors import UsageError
from charlm.settings import Setting, nearest, read_settings

HELP = "`charlm generate --help` shows every option with its range."


@dataclass(frozen=True)
class SamplingSettings:
    """How the model's distribution is bent before a token is drawn from it, or that none is.

    The fields but for the last two are named after their filters in `registry.LOGIT_FILTERS`;
    None leaves one out. `greedy` takes the most probable token and nothing else, as temperature
    0 does; `beam` looks for the most probable texts (`generation.beam`).
    UsageError: a value outside its range, or one that greedy or beam would ignore.
    """

    temperature: Annotated[
        float, Setting("below 1 more careful, above 1 more varied; 0 is greedy", least=0)
    ] = 1.0
    top_k: Annotated[
        int | None, Setting("draw among the K most probable tokens", least=1, none=True)
    ] = None
    top_p: Annotated[
        float | None,
        Setting("draw among the fewest tokens of this probability", least=0, most=1, none=True),
    ] = None
    min_p: Annotated[
        float | None,
        Setting(
            "draw among tokens of at least this share of the most probable one's probability",
            least=0,
            most=1,
            none=True,
        ),
    ] = None
    typical_p: Annotated[
        float | None,
        Setting(
            "draw among the tokens that surprise most nearly as expected, of this probability",
            least=0,
            most=1,
            none=True,
        ),
    ] = None
    repetition_penalty: Annotated[
        float | None,
        Setting(
            "raise the probabilities of tokens among the last 64, prompt included, to this power",
            least=1,
            most=1000,
            none=True,
        ),
    ] = None
    greedy: Annotated[bool, Setting("always the most probable token")] = False
    beam: Annotated[
        int | None,
        Setting(
            "look for the most probable texts, keeping the N of least nats a token",
            least=1,
            most=1024,
            none=True,
        ),
    ] = None

    def __post_init__(self) -> None:
        read_settings(self, HELP)
        certain = self.without_chance
        if certain is None:
            return
        used = ["beam"]
        if self.beam is None:
            used = ["greedy" if self.greedy else "temperature", "repetition_penalty"]
        for other in fields(self):
            value = getattr(self, other.name)
            if other.name not in used and value != other.default:
                raise UsageError(
                    f"{_option(other.name)} is {value}, but {certain} makes no use of it",
                    f"Leave out {_option(other.name)} or {certain}.",
                )

    @property
    def without_chance(self) -> str | None:
        """The option that leaves nothing to chance, as it is written; None where there is none."""
        if self.beam is not None:
            return f"--beam {self.beam}"
        if self.greedy:
            return "--greedy"
        return "--temperature 0" if self.temperature == 0 else None


@dataclass(frozen=True)
class GenerationSettings:
    """How tokens are chosen, how many, and which texts end a sample early.

    `length` counts new tokens or new characters (code points); the prompt is not counted.
    UsageError: a value outside its range, an empty stop text, more samples than a beam keeps.
    """

    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    length: Annotated[int, Setting("how much to write", least=0)] = 400
    length_unit: Annotated[
        str, Setting("what --length counts", choices=("tokens", "characters"))
    ] = "tokens"
    stop: tuple[str, ...] = ()
    num_samples: Annotated[int, Setting("samples of each prompt", least=1)] = 1
    seed: Annotated[int, Setting("of every random choice", least=0)] = 1
    precision: Annotated[
        str,
        Setting(
            "of the weights: bf16 is compiled and fast, fp32 exact; auto is bf16 where it can be",
            choices=("auto", "fp32", "bf16"),
        ),
    ] = "auto"

    def __post_init__(self) -> None:
        read_settings(self, HELP)
        if "" in self.stop:
            raise UsageError(
                "--stop is empty; needed: a text of at least one character",
                "An empty text would end every sample at once; --length 0 does that.",
            )
        beam = self.sampling.beam
        if beam is not None and self.num_samples > beam:
            raise UsageError(
                f"--num-samples is {self.num_samples}, but --beam {beam} keeps only {beam}",
                "Give a wider --beam or fewer --num-samples.",
            )


def settings_of(options: Mapping[str, Any]) -> GenerationSettings:
    """The settings that options make which a person gave, by their names, sampling among them.

    UsageError: an unknown name; a value that the settings refuse; a seed for what draws nothing.
    """
    sampling = [field.name for field in fields(SamplingSettings)]
    others = [field.name for field in fields(GenerationSettings) if field.name != "sampling"]
    for name in options.keys() - {*sampling, *others}:
        raise UsageError(f"there is no option {name}{nearest(name, [*sampling, *others])}")
    drawn = {name: value for name, value in options.items() if name in sampling}
    rest = {name: value for name, value in options.items() if name in others}
    if isinstance(rest.get("stop"), str):
        rest["stop"] = (rest["stop"],)
    settings = GenerationSettings(sampling=SamplingSettings(**drawn), **rest)
    certain = settings.sampling.without_chance
    if certain is not None and "seed" in options:
        raise UsageError(
            f"--seed is {settings.seed}, but {certain} leaves nothing to chance",
            f"Leave out --seed or {certain}.",
        )
    return settings


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
