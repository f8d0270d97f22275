"""What `auto` becomes: valid for every text, budget and machine."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charlm.config import SETTINGS, Config, Regularisation
from charlm.errors import DataError
from charlm.precedence import Layer, build, read_toml, to_toml
from charlm.settings import AUTO
from charlm.training.sizing import MINIMUM_TOKENS, Facts, resolve

# What means something while a run goes on, too: the library's kernel, evaluation by the clock.
MAY_STAY_AUTO = {
    "tokenizer.vocab_size", "tokenizer.min_count", "tokenizer.word_split", "tokenizer.word_oov",
    "optimisation.kernel", "optimisation.ngram_lr", "budget.eval_every",
    "model.nonlinearity", "model.context", "model.cutoffs", "model.last_hidden_size",
}  # fmt: skip


def facts_of(tokens=1_000_000, vocabulary=65, rate=80.0, unusual=0):
    return Facts(tokens, vocabulary, rate, "fp32", 2, "cpu", min(unusual, vocabulary - 2))


def config_of(**options):
    keys = {field.name: key for key, field in SETTINGS.items()}
    return build([Layer("options", {keys[name]: value for name, value in options.items()})])


many_facts = st.builds(
    facts_of,
    st.one_of(st.integers(16, 2000), st.integers(16, 10**9)),
    st.integers(2, 300_000),
    st.floats(0.01, 1e6),
    st.integers(0, 300),
)
budgets = st.one_of(
    st.fixed_dictionaries({"steps": st.integers(1, 10**9)}),
    st.fixed_dictionaries({"epochs": st.floats(1e-3, 1e6)}),
    st.fixed_dictionaries({"minutes": st.floats(1e-3, 1e6)}),
    st.fixed_dictionaries({"minutes": st.floats(1e-3, 1e6), "steps": st.integers(1, 10**9)}),
    st.just({}),
)
given_sizes = st.fixed_dictionaries(
    {},
    optional={
        "batch_size": st.integers(1, 10**6),
        "bptt": st.integers(1, 10**6),
        "layers": st.integers(1, 64),
        "hidden_size": st.integers(1, 65536),
        "tie_weights": st.booleans(),
        "softmax": st.sampled_from(["full", "adaptive"]),
        "temporal_dropout_kind": st.sampled_from(["variational", "weight-drop"]),
        "inter_layer_dropout": st.sampled_from([0.0, 0.3]),
    },
)


@settings(deadline=None, max_examples=200)
@given(many_facts, budgets, given_sizes)
@example(facts_of(67_108_465, 2, 1.0), {"epochs": 119_210.0}, {"batch_size": 1, "bptt": 1})
def test_every_resolution_is_valid(facts, budget, sizes):
    if sizes.get("layers") == 1:
        sizes.pop("inter_layer_dropout", None)
    if sizes.get("softmax") == "adaptive":
        sizes.pop("tie_weights", None)
    config, choices = resolve(config_of(**budget, **sizes), facts)
    for key, field in SETTINGS.items():
        value = config.get(key)
        if key not in MAY_STAY_AUTO:
            assert value != AUTO, key
        assert field.setting.read(value, field.kind) == value, key
    o = config.optimisation
    assert facts.train_tokens // o.batch_size // o.bptt >= 1, "no window"
    for choice in choices:
        assert choice.reason and config.get(choice.key) is not None
    chosen = {choice.key: choice.value for choice in choices}
    assert all(config.get(key) == value for key, value in chosen.items())
    if sizes.get("softmax") == "adaptive":
        assert 0 < config.cutoffs[0] <= config.cutoffs[-1] < facts.vocabulary_size
        assert config.cutoffs[0] >= facts.unusual
    # What was given stays, but a batch that the text cannot fill.
    for name, value in {**budget, **sizes}.items():
        key = next(key for key, field in SETTINGS.items() if field.name == name)
        if name in ("batch_size", "bptt"):
            assert config.get(key) <= value
            assert config.get(key) == value or key in chosen
        else:
            assert config.get(key) == value
    # And a run can read it back.
    assert build([read_toml(to_toml(config), "config.toml")], resolved=True) == config


@pytest.mark.parametrize("tokens", [0, 1, MINIMUM_TOKENS - 1])
def test_a_text_too_small_for_anything_names_the_minimum(tokens):
    with pytest.raises(DataError) as caught:
        resolve(Config(), facts_of(tokens))
    assert str(MINIMUM_TOKENS) in str(caught.value) and str(tokens) in str(caught.value)


def test_a_tiny_text_reduces_the_batch_that_was_given_and_says_why():
    config, choices = resolve(config_of(batch_size=32, bptt=64, steps=10), facts_of(100))
    o = config.optimisation
    assert o.batch_size * o.bptt <= 100
    reasons = {choice.key: choice.reason for choice in choices}
    assert "100 tokens are fewer than 32 streams of 64" in reasons["optimisation.batch_size"]


def test_without_a_limit_five_minutes():
    assert resolve(Config(), facts_of())[0].budget.minutes == 5
    assert resolve(config_of(steps=3), facts_of())[0].budget.minutes is None
    assert resolve(config_of(epochs=3), facts_of())[0].budget.minutes is None
    assert resolve(config_of(epochs=3, minutes=2), facts_of())[0].budget.minutes == 2


@pytest.mark.parametrize("limit", [{"steps": 500}, {"epochs": 2.0}])
def test_without_minutes_the_machine_changes_nothing(limit):
    """The same command gives the same network everywhere."""
    slow, fast = (resolve(config_of(**limit), facts_of(rate=rate))[0] for rate in (1.0, 1000.0))
    assert slow == fast


def test_more_minutes_and_more_text_make_a_wider_network():
    def width(minutes, tokens):
        return resolve(config_of(minutes=minutes), facts_of(tokens))[0].model.hidden_size

    assert width(1, 10**7) < width(10, 10**7) < width(100, 10**7)
    assert width(10, 3000) < width(10, 10**7)


def test_inter_layer_dropout_gets_the_layers_it_needs():
    config, _ = resolve(config_of(steps=10, inter_layer_dropout=0.3), facts_of())
    assert config.model.layers >= 2


def test_warm_up_does_not_outlast_a_short_budget():
    facts = facts_of(rate=1.0)  # a very slow machine
    short, _ = resolve(config_of(minutes=0.2, hidden_size=256), facts)
    long, _ = resolve(config_of(minutes=500, hidden_size=256), facts)
    assert short.optimisation.warmup_steps < 10
    assert long.optimisation.warmup_steps == 50


def test_a_state_without_bounds_is_not_carried_on():
    irnn = {"cell": "rnn", "nonlinearity": "relu", "init": "identity", "steps": 9}
    found = {
        name: resolve(config_of(**options), facts_of())[0].regularisation.reset_probability
        for name, options in {
            "IRNN": irnn,
            "as asked": irnn | {"reset_probability": 0.2},
            "relu": irnn | {"init": "orthogonal"},
            "tanh": irnn | {"nonlinearity": "auto"},
            "LSTM": {"steps": 9},
        }.items()
    }
    assert found == {"IRNN": 1.0, "as asked": 0.2, "relu": 0.03, "tanh": 0.03, "LSTM": 0.03}


@pytest.mark.parametrize(
    ("tokenizer", "budget", "tokens", "rate", "expected"),
    [
        ("char", {"minutes": 1.0}, 1_000_000, 100.0, (16, 64)),
        ("byte", {"steps": 10**6}, 1_000_000, 100.0, (16, 64)),
        ("char", {"epochs": 9.0}, 1_000_000, 100.0, (32, 128)),
        ("char", {"epochs": 5.0}, 1_000_000, 100.0, (16, 64)),
        ("word", {"epochs": 7.0}, 1_000_000, 100.0, (32, 32)),
        ("word", {"epochs": 70.0}, 1_000_000, 100.0, (64, 32)),
        ("char", {"minutes": 1.0}, 2_100, 100.0, (4, 128)),
        ("char", {"minutes": 1.0}, 100, 100.0, (1, 50)),
    ],
)
def test_streams_and_windows(tokenizer, budget, tokens, rate, expected):
    config, _ = resolve(config_of(tokenizer=tokenizer, **budget), facts_of(tokens, rate=rate))
    o = config.optimisation
    assert (o.batch_size, o.bptt) == expected


def test_given_streams_leave_room_for_windows():
    config, _ = resolve(config_of(batch_size=50, minutes=1.0), facts_of(2000))
    assert (config.optimisation.batch_size, config.optimisation.bptt) == (50, 20)


@pytest.mark.parametrize(
    ("once", "passes", "order"),
    [(0.27, 0.5, 7), (0.27, 1.8, 7), (0.27, 1.9, 1), (0.1, 4.9, 7), (0.1, 5.1, 1), (1.0, 0.5, 7)],
)
def test_n_grams_are_for_a_text_that_comes_again(once, passes, order):
    facts = replace(facts_of(), seen_once={7: once}.__getitem__)
    config, choices = resolve(config_of(epochs=passes), facts)
    assert config.model.ngram_order == order
    assert ("by heart" in {c.key: c.reason for c in choices}["model.ngram_order"]) == (order == 1)
    config, _ = resolve(config_of(epochs=passes, ngram_order=5), facts)
    assert config.model.ngram_order == 5


def test_n_grams_are_not_counted_where_it_cannot_matter():
    facts = replace(facts_of(), seen_once=lambda length: pytest.fail("counted"))
    assert resolve(config_of(epochs=0.5), facts)[0].model.ngram_order == 7
    assert resolve(config_of(epochs=9.0, tokenizer="word"), facts)[0].model.ngram_order == 1
    assert resolve(config_of(epochs=9.0, ngram_order=5), facts)[0].model.ngram_order == 5


def cliff(cell, hidden, inputs, streams):
    """Two cores whose caches hold a layer of 1,024."""
    return 480.0 if hidden <= 1024 else 200.0


def test_a_width_that_this_machine_computes_slowly_is_not_taken():
    facts = facts_of(tokens=10**7, rate=480.0)
    slow = replace(facts, pace=cliff)
    widths = {
        minutes: [
            resolve(config_of(minutes=minutes), each)[0].model.hidden_size for each in (facts, slow)
        ]
        for minutes in (1.0, 20.0)
    }
    assert widths[1.0][0] == widths[1.0][1] < 1024
    assert widths[20.0][0] > 1280 and widths[20.0][1] == 1024
    reason = {c.key: c.reason for c in resolve(config_of(minutes=20.0), slow)[1]}
    assert "slower" in reason["model.hidden_size"]


def test_passes_are_expected_by_the_measured_pace():
    facts = facts_of(rate=480.0)
    rates = []
    for pace in (None, lambda *layer: 480.0, lambda *layer: 48.0):
        config, _ = resolve(
            config_of(minutes=10.0, hidden_size=512, batch_size=24), replace(facts, pace=pace)
        )
        assert config.model.hidden_size == 512
        rates.append(config.regularisation.output_dropout)
    assert rates[0] == rates[1] > 3 * rates[2]


def test_a_budget_without_minutes_tries_nothing():
    facts = replace(facts_of(), pace=lambda *layer: pytest.fail("tried"))
    for budget in ({"steps": 9}, {"epochs": 2.0}):
        resolve(config_of(**budget), facts)


def test_the_layer_that_is_tried_is_the_one_that_is_trained():
    tried = []

    def pace(cell, hidden, inputs, streams):
        tried.append((hidden, inputs, streams))
        return 100.0

    for more in ({"embedding_size": 33}, {"tie_weights": True}, {"batch_size": 8}, {}):
        tried.clear()
        facts = replace(facts_of(), pace=pace)
        config, _ = resolve(config_of(minutes=1.0, **more), facts)
        m, streams = config.model, config.optimisation.batch_size
        assert (m.hidden_size, m.embedding_size, streams) in tried
        assert {inputs for _, inputs, _ in tried} == {33 if "embedding_size" in more else 64} or (
            all(hidden == inputs for hidden, inputs, _ in tried) and "tie_weights" in more
        )


@pytest.mark.parametrize(
    ("optimizer", "epochs", "share"),
    [("adamw", 6.0, 1 / 2), ("muon", 6.0, 1 / 2), ("adamw", 1.0, 1.0), ("sgd", 6.0, 1.0)],
)
def test_many_passes_over_a_large_vocabulary_want_a_lower_rate(optimizer, epochs, share):
    """Where a step learns from some of the words; not by the gradient alone, whose length is
    cut."""
    facts, lr = facts_of(vocabulary=33_000), {}
    for sample in (4096, None, 10**6):
        options = {"tokenizer": "word", "hidden_size": 384, "epochs": epochs, "layers": 1}
        options |= {"optimizer": optimizer, "softmax_sample": sample}
        lr[sample] = resolve(config_of(**options), facts)[0].optimisation.lr
    assert lr[4096] == pytest.approx(share * lr[None], rel=0.02)
    assert lr[10**6] == lr[None], "a sample of all is all"


def test_words_are_learned_by_heart_sooner():
    """More dropout where a step learns from a sample of many words; none before the first pass."""
    rates = {}
    for passes in (0.1, 4.0, 50.0):
        for vocabulary in (65, 33_000):
            options = config_of(tokenizer="word", epochs=passes)
            config, _ = resolve(options, facts_of(2_000_000, vocabulary))
            rates[passes, vocabulary] = config.regularisation.output_dropout
    assert rates[0.1, 33_000] <= rates[0.1, 65] < 0.02
    assert rates[4.0, 33_000] > 1.5 * rates[4.0, 65] > 0.1
    assert rates[50.0, 33_000] == rates[50.0, 65] == 0.5


def test_a_layer_for_words_is_no_wider_than_their_number_bears():
    """1,280 units for the two million words of WikiText-2, however long it may learn."""
    for tokens, most in ((2_088_628, 1280), (2_088_628 // 4, 640)):
        facts = facts_of(tokens, 33_279, 10_000.0)
        config = resolve(config_of(tokenizer="word", minutes=600.0, layers=1), facts)[0]
        assert config.model.hidden_size == most


@pytest.mark.parametrize(("tokenizer", "streams"), [("char", 32), ("word", 64)])
def test_layers_are_tried_with_the_streams_of_long_runs(tokenizer, streams):
    """With fewer a wide one seems slower than it runs, and its passes fewer than there are."""
    tried = []

    def pace(cell, hidden, inputs, count):
        tried.append(count)
        return 300.0

    facts = replace(facts_of(2_000_000, 33_278 if tokenizer == "word" else 65, 300.0), pace=pace)
    resolved, _ = resolve(config_of(tokenizer=tokenizer, minutes=60.0), facts)
    assert tried[0] == streams == resolved.optimisation.batch_size


def test_a_rate_that_is_given_is_taken_and_the_factor_takes_none_beyond() -> None:
    def rate(given: float, factor: float) -> float:
        return Config(regularisation=Regularisation(output_dropout=given, dropout=factor)).rate(
            "output_dropout"
        )

    assert rate(0.97, 1) == 0.97
    assert rate(0.5, 3) == 0.95 and rate(0.97, 3) == 0.97 and rate(0.5, 0) == 0
