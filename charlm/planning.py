"""What a run will be, before it is trained: its text, its sizes and its cost."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import torch

from charlm import launched
from charlm.classifier_settings import SECTION
from charlm.config import Config
from charlm.contradictions import needing_validation
from charlm.errors import RunError, UsageError
from charlm.model.cells.base import make_cell
from charlm.model.cluster_ranks import unusual
from charlm.model.dropout import DropoutRates
from charlm.model.kernels import libraries
from charlm.model.language_model import Architecture
from charlm.precedence import LIMITS, Kind, stored_configuration
from charlm.runs.directory import RunDirectory
from charlm.settings import AUTO, fields_of
from charlm.storage.reading import parse_toml
from charlm.text.canaries import Canaries
from charlm.text.repetition import seen_once
from charlm.text.token_cache import TokenCache, prepare
from charlm.text.tokenizers.base import Tokenizer, TokenizerSettings
from charlm.training import precision, sizing
from charlm.training.decoder_rates import decodes_with_embedding
from charlm.training.listener import Listener
from charlm.training.loss import CHUNK_LOGITS, FEWEST_PLACES
from charlm.training.pace import Pace
from charlm.training.planned_steps import last_step
from charlm.transfer import adopted, source_of

_LITTLE_TEXT = 10_000  # tokens


@dataclass
class Request:
    """What a person asked for.

    sources: text to train on (empty: the embedded corpus, or on resuming the run's own);
    given: dotted keys of the settings that were given and not left to their defaults.
    """

    out: Path
    config: Config
    sources: Sequence[str | Path] = ()
    given: Sequence[str] = ()
    resume: bool = False
    force: bool = False
    stdin: BinaryIO | None = None
    started: float = field(default_factory=time.monotonic)


def plan(request: Request, listener: Listener, folder: Path) -> "Plan":
    """What `train` would do, with the text read into `folder` and nothing trained."""
    config = adopted(request.config, request.given, source_of(request.config))
    request = replace(request, config=config)
    cache, tokenizer = read_text(request, folder, listener, lambda: None)
    return resolve(request.config, cache, tokenizer)


@dataclass(frozen=True)
class Plan:
    """A resolved configuration, with the reasons for what was chosen."""

    config: Config
    choices: list[sizing.Choice]
    architecture: Architecture
    train_tokens: int

    def warnings(self) -> list[str]:
        """What a person should know before this is trained."""
        found = []
        if self.train_tokens < _LITTLE_TEXT:
            found.append(
                f"Warning: {self.train_tokens:,} tokens are little to learn from: the model will "
                "mostly repeat them. 100,000 and more give something to go by."
            )
        if self.config.corpus.canaries:
            found.append(
                f"{self.config.corpus.canaries:,} made-up secrets are planted in the training "
                "text: charlm audit says what the model kept of them."
            )
        o, b = self.config.optimisation, self.config.budget
        last = last_step(self.config, self.train_tokens)
        if last is None or b.eval_every == AUTO:
            return found
        for option, needed in (("plateau", 3), ("nt-asgd", 7)):
            if option in (o.schedule, o.optimizer) and last // b.eval_every < needed:
                found.append(
                    f"Warning: {option} acts on evaluations: it needs {needed} or more, and this "
                    f"budget has {last // b.eval_every}. A smaller --eval-every gives more."
                )
        return found

    def memory_estimate(self) -> int:
        """Bytes that training will take."""
        return memory_estimate(self.config, self.architecture)


def memory_estimate(config: Config, architecture: Architecture) -> int:
    """Bytes that training will take: weights, gradients, two averages and a window; with
    --ema or nt-asgd the average, and while measuring by it the raw weights aside."""
    o, a = config.optimisation, architecture
    copies = 4 if o.ema is None and o.optimizer != "nt-asgd" else 6
    # Of each layer the gates there and back, and some more for state and output.
    kept = (2 * make_cell(a.cell, context=a.context).gates + 4) * sum(a.sizes)
    logits = 2 * max(CHUNK_LOGITS, FEWEST_PLACES * a.vocabulary_size)
    return 4 * (copies * a.parameters() + o.bptt * o.batch_size * kept + logits)


def read_text(
    request: Request, folder: Path, listener: Listener, check: Callable[[], None]
) -> tuple[TokenCache, Tokenizer]:
    corpus = request.config.corpus

    def progress(characters: int) -> None:
        check()
        listener.reading(characters)

    return prepare(
        request.sources,
        folder=folder,
        fit_or_tokenizer=tokenizer_settings(request.config),
        valid=None if corpus.valid is None else [corpus.valid],
        test=None if corpus.test is None else [corpus.test],
        valid_fraction=corpus.valid_fraction,
        test_fraction=corpus.test_fraction,
        direction=request.config.model.direction,
        encoding=corpus.encoding,
        errors=corpus.errors,
        canaries=Canaries(corpus.canaries, request.config.optimisation.seed),
        stdin=request.stdin,
        say=listener.say,
        progress=progress,
    )


def tokenizer_settings(config: Config) -> TokenizerSettings:
    given = {name: value for name, value in asdict(config.tokenizer).items() if value != AUTO}
    return TokenizerSettings(kind=given.pop("tokenizer"), **given)


def resolve(config: Config, cache: TokenCache, tokenizer: Tokenizer) -> Plan:
    """Numbers for every `auto`. UsageError where a part that an option needs is empty."""
    o = config.optimisation
    check_validation(config, cache)
    check_device(o.device)
    device = "cuda" if o.device != "cpu" and torch.cuda.is_available() else "cpu"
    libraries.settle()
    threads = o.threads
    if threads == AUTO:
        threads = precision.fastest_threads(precision.MOST_THREADS)
    torch.set_num_threads(threads)
    rates = precision.probe(device)
    chosen = rates.best if o.precision == "auto" else o.precision
    rate = rates.bf16 if chosen == "bf16" else rates.fp32
    ids = cache.parts["train"].ids
    facts = sizing.Facts(
        train_tokens=len(ids),
        vocabulary_size=tokenizer.vocabulary_size,
        rate=launched.size() * rate,
        precision=chosen,
        threads=threads,
        device=device,
        unusual=int(unusual(tokenizer.grammar.legal).sum()),
        seen_once=lambda length: seen_once(ids, length),
        pace=Pace(device, chosen, rate, launched.size(), o.kernel),
    )
    resolved, choices = sizing.resolve(config, facts)
    _check_clusters(resolved, facts.unusual)
    _check_decoder(resolved)
    return Plan(resolved, choices, architecture_of(resolved, tokenizer), facts.train_tokens)


def _check_clusters(config: Config, needed: int) -> None:
    """UsageError where the head of an adaptive softmax has no place for what is spelled with."""
    if config.cutoffs and config.cutoffs[0] < needed:
        raise UsageError(
            f"--cutoffs {config.model.cutoffs}: {needed} tokens stand in other places than most "
            "(bytes and markers), and they must come before the first cluster",
            f"Begin with {needed} or more.",
        )


def _check_decoder(resolved: Config) -> None:
    """UsageError where a rate is asked for of a layer that has no weights of its own."""
    factor = resolved.optimisation.decoder_lr_factor
    if factor != 1 and decodes_with_embedding(resolved.model):
        raise UsageError(
            f"--decoder-lr-factor is {factor:g}, and --tie-weights with an embedding of the last "
            f"layer's size, {resolved.model.embedding_size}, leaves no matrix that it could be of",
            "Leave it out, or give another --embedding-size.",
        )


def check_device(name: str) -> None:
    """UsageError where a GPU is asked for and there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: there is no usable GPU here", "Use --device cpu.")


def stored_config(run: RunDirectory) -> Config:
    """The resolved configuration of a run. RunError if it is damaged."""
    tree = parse_toml(run.config_text, run.config_path)
    if SECTION in tree:
        raise RunError(
            f"{run.path} is a classifier's run",
            "Go on with it by `charlm finetune-classify --resume`, or choose another --out.",
        )
    return stored_configuration(tree, str(run.config_path), Config)


def resumed(stored: Kind, given: Config, keys: Sequence[str], out: Path) -> Kind:
    """The stored configuration with what may change on resuming: budget, threads, reports.

    Limits that are given take the place of all those that are not, unless they are the run's
    own. UsageError where no limit is left, or the device is not there.
    """
    settings = fields_of(type(stored))
    changes = {
        key: given.get(key)
        for key in keys
        if not settings[key].setting.identity and given.get(key) != AUTO
    }
    if any(changes[key] != stored.get(key) for key in LIMITS & set(changes)):
        changes |= {key: None for key in LIMITS - set(changes)}
    config = stored.with_values(changes)
    b = config.budget
    if b.epochs is None and b.steps is None and b.minutes is None:
        raise UsageError(
            f"{out} would have no end: no --epochs, --steps or --minutes is left",
            "Give one of them.",
        )
    check_device(config.optimisation.device)
    return config


def check_validation(config: Config, cache: TokenCache) -> None:
    """UsageError where an option needs a validation text, and the text has none."""
    needing = needing_validation(config)
    if needing and "valid" not in cache.parts:
        raise UsageError(
            f"{needing[0]} needs a validation text, and of this text nothing is left for one",
            "Give --valid FILE, a larger --valid-fraction, or leave it out.",
        )


def ends(config: Config) -> tuple[float | None, ...]:
    """Whatever ends a run."""
    b = config.budget
    return b.epochs, b.steps, b.minutes, b.patience


def architecture_of(config: Config, tokenizer: Tokenizer) -> Architecture:
    """The network that a resolved configuration and its tokenizer give.

    UsageError: an adaptive softmax for more tokens than there are.
    """
    m = config.model
    if config.cutoffs and config.cutoffs[-1] >= tokenizer.vocabulary_size:
        raise UsageError(
            f"--cutoffs {m.cutoffs} reaches beyond a vocabulary of {tokenizer.vocabulary_size:,}",
            "Give smaller ones, or leave out --softmax adaptive.",
        )
    return Architecture(
        tokenizer.vocabulary_size,
        m.cell,
        m.layers,
        m.hidden_size,
        m.embedding_size,
        m.tie_weights,
        last_hidden_size=None if m.last_hidden_size == AUTO else m.last_hidden_size,
        nonlinearity=None if m.nonlinearity == AUTO else m.nonlinearity,
        context=None if m.context == AUTO else m.context,
        bias=m.bias,
        zoneout=config.zoneout,
        ngram_order=config.ngram_order,
        ngram_rows=config.ngram_rows,
        softmax=m.softmax,
        cutoffs=config.cutoffs,
    )


def rates_of(config: Config) -> DropoutRates:
    """Every dropout of a resolved configuration, with the factor `--dropout` in it."""
    r = config.regularisation
    return DropoutRates(
        embedding=config.rate("embedding_dropout"),
        input=config.rate("input_dropout"),
        inter_layer=config.rate("inter_layer_dropout"),
        output=config.rate("output_dropout"),
        temporal=config.rate("temporal_dropout"),
        temporal_kind=r.temporal_dropout_kind,
        temporal_mask=r.temporal_dropout_mask,
    )
