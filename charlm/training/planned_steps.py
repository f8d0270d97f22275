"""How many steps a run takes and how often it is evaluated, as far as its settings say."""

from charlm.config import Config
from charlm.training.budget import steps_allowed


def last_step(config: Config, train_tokens: int) -> int | None:
    """The step that --steps and --epochs allow; None where only the clock counts."""
    b, o = config.budget, config.optimisation
    return steps_allowed(b.steps, b.epochs, train_tokens // o.batch_size // o.bptt)


def evaluation_times(config: Config) -> int:
    """How often a run is evaluated in its budget, unless --eval-every says so."""
    o = config.optimisation
    # What waits for evaluations without improvement must see some.
    return 40 if o.optimizer == "nt-asgd" or o.schedule == "plateau" else 8
