"""What a Python user relies on."""

import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest

import charlm
from charlm.adaptation import CacheSettings, CountSettings, DynamicSettings
from charlm.errors import DataError, RunError, UsageError
from charlm.training.listener import Listener

EVALUATE_KEYS = {
    "tokens",
    "characters",
    "bytes",
    "words",
    "nats_per_token",
    "perplexity",
    "bits_per_character",
    "bits_per_byte",
    "word_perplexity",
    "oov_rate",
}
SMALL = {
    "hidden_size": 8,
    "embedding_size": 4,
    "batch_size": 2,
    "bptt": 8,
    "precision": "fp32",
    "threads": 1,
}


@pytest.fixture(scope="module")
def model(tiny_run):
    return charlm.load(tiny_run)


def test_everything_that_is_promised_is_there():
    assert set(charlm.__all__) == {
        "ClassifierModel", "Model", "__version__", "finetune_classifier", "load", "train"
    }  # fmt: skip
    for name in charlm.__all__:
        assert getattr(charlm, name) is not None
    with pytest.raises(AttributeError, match="trian"):
        _ = charlm.trian


def test_importing_charlm_and_writing_with_it_imports_no_torch(tiny_run):
    code = (
        "import sys, charlm; text = charlm.load(sys.argv[1]).generate('the ', length=5); "
        "assert len(text) == 5, text; "
        "assert not [m for m in ('torch', 'sklearn', 'matplotlib') if m in sys.modules]"
    )
    subprocess.run([sys.executable, "-c", code, str(tiny_run)], check=True)


class TestTrain:
    def test_a_network_that_learned_nothing_is_said(self, tiny_text, tmp_path):
        said = []

        class Heard(Listener):
            def say(self, message):
                said.append(message)

        how = {**SMALL, "optimizer": "sgd", "lr": 300.0, "clip_norm": None, "steps": 8}
        charlm.train([tiny_text], tmp_path / "r", listener=Heard(), **how)
        assert any("worse than guessing evenly" in message for message in said)
        said.clear()
        charlm.train([tiny_text], tmp_path / "s", listener=Heard(), steps=3, **SMALL)
        assert not any("guessing" in message for message in said)

    def test_a_run_is_no_text(self, tiny_run, tmp_path):
        with pytest.raises(UsageError, match="is a run"):
            charlm.train([tiny_run], tmp_path / "r", steps=1, **SMALL)
        assert not (tmp_path / "r").exists()

    def test_a_preset_stands_below_single_settings(self, tiny_text, tmp_path):
        charlm.train([tiny_text], tmp_path / "r", preset="tiny", steps=1, hidden_size=10)
        config = charlm.load(tmp_path / "r").config
        assert config.model.embedding_size == 32  # the preset's
        assert config.model.hidden_size == 10
        with pytest.raises(UsageError, match="did you mean tiny"):
            charlm.train([tiny_text], tmp_path / "s", preset="tinny")

    def test_the_summary_is_the_contracts_and_lies_in_the_run(self, tiny_text, tmp_path):
        summary = charlm.train([tiny_text], tmp_path / "r", steps=3, test_fraction=0.2, **SMALL)
        keys = {"run", "tokens_per_second", "seconds", "epochs", "steps", "parameters"}
        assert keys | {"valid", "test"} <= set(summary)
        assert summary["steps"] == 3 and summary["run"] == str(tmp_path / "r")
        assert set(summary["valid"]) >= EVALUATE_KEYS and set(summary["test"]) >= EVALUATE_KEYS
        characters = len(tiny_text.read_text())
        assert summary["test"]["characters"] == pytest.approx(0.2 * characters, abs=1)
        assert summary["valid"]["characters"] == pytest.approx(0.1 * characters, abs=1)
        stored = json.loads((tmp_path / "r" / "summary.json").read_text())
        assert stored == json.loads(json.dumps(summary))

    def test_texts_are_paths_of_files_and_folders(self, tiny_text, tmp_path):
        folder = tmp_path / "texts"
        (folder / "sub").mkdir(parents=True)
        shutil.copy(tiny_text, folder / "sub" / "a.txt")
        charlm.train([str(folder)], str(tmp_path / "r"), steps=2, **SMALL)
        assert charlm.load(tmp_path / "r").info()["step"] == 2

    def test_settings_go_by_their_options_names(self, tiny_text, tmp_path):
        with pytest.raises(UsageError, match=r"hidden_sizes.*did you mean hidden_size"):
            charlm.train([tiny_text], tmp_path / "r", hidden_sizes=8)
        with pytest.raises(UsageError, match="--lr is -1"):
            charlm.train([tiny_text], tmp_path / "r", lr=-1)
        with pytest.raises(UsageError, match="out is missing"):
            charlm.train([tiny_text])
        assert not (tmp_path / "r").exists()

    def test_the_same_call_gives_the_same_weights_and_another_seed_others(
        self, tiny_text, tmp_path
    ):
        def weights(name, **more):
            charlm.train([tiny_text], tmp_path / name, steps=4, **{**SMALL, **more})
            return charlm.load(tmp_path / name).stored.weights

        first, again, other = weights("a"), weights("b"), weights("c", seed=2)
        for name, array in first.items():
            assert array.tobytes() == again[name].tobytes()
        assert any(array.tobytes() != other[name].tobytes() for name, array in first.items())

    def test_an_existing_run_is_kept_but_by_force_and_resumed_on_request(self, tiny_text, tmp_path):
        charlm.train([tiny_text], tmp_path / "r", steps=2, **SMALL)
        with pytest.raises(UsageError, match="already holds a run"):
            charlm.train([tiny_text], tmp_path / "r", steps=2, **SMALL)
        assert charlm.train((), tmp_path / "r", resume=True)["steps"] == 2
        assert charlm.train((), tmp_path / "r", resume=True, steps=5)["steps"] == 5
        with pytest.raises(UsageError, match="--hidden-size is 9, and the run has 8"):
            charlm.train((), tmp_path / "r", resume=True, hidden_size=9)
        assert charlm.train([tiny_text], tmp_path / "r", force=True, steps=1, **SMALL)["steps"] == 1

    def test_resuming_with_another_text_is_refused(self, tiny_text, tmp_path):
        charlm.train([tiny_text], tmp_path / "r", steps=2, **SMALL)
        (tmp_path / "other.txt").write_text(tiny_text.read_text() + "more\n")
        with pytest.raises(UsageError, match="the text is not the one"):
            charlm.train([tmp_path / "other.txt"], tmp_path / "r", resume=True, steps=5)

    def test_a_listener_hears_what_happens(self, tiny_text, tmp_path):
        class Heard(Listener):
            def __init__(self):
                self.names = []

            def __getattribute__(self, name):
                if name in ("chosen", "begin", "step", "report", "evaluated", "sample", "end"):
                    self.names.append(name)
                return super().__getattribute__(name)

        heard = Heard()
        charlm.train([tiny_text], tmp_path / "r", steps=4, report_every=2, listener=heard, **SMALL)
        assert heard.names.count("step") == 4 and heard.names.count("report") == 2
        assert heard.names[-1] == "end" and "chosen" in heard.names
        assert heard.names.index("evaluated") < heard.names.index("sample")

    @pytest.mark.parametrize(
        "options",
        [
            {"temporal_dropout": 0.0},
            {"temporal_dropout": 0.3, "temporal_dropout_kind": "weight-drop"},
            {"inter_layer_dropout": 0.3},
            {"minutes": 0.02, "steps": 3},
        ],
        ids=lambda options: " ".join(options),
    )
    def test_every_run_can_be_read_and_resumed(self, tiny_text, tmp_path, options):
        """`auto` may give a value to what is not used: that is no contradiction in a run."""
        charlm.train([tiny_text], tmp_path / "r", **{"steps": 2, **SMALL, **options})
        assert math.isfinite(charlm.load(tmp_path / "r").evaluate()["nats_per_token"])
        assert charlm.train((), tmp_path / "r", resume=True, steps=4)["steps"] == 4

    def test_a_run_of_minutes_keeps_them_when_only_reports_change(self, tiny_text, tmp_path):
        charlm.train([tiny_text], tmp_path / "r", minutes=0.02, **SMALL)
        again = charlm.train((), tmp_path / "r", resume=True, report_every=7)
        assert again == json.loads((tmp_path / "r" / "summary.json").read_text())

    def test_a_budget_without_an_end_is_refused(self, tiny_text, tmp_path):
        with pytest.raises(UsageError, match="no end"):
            charlm.train([tiny_text], tmp_path / "r", minutes=None, **SMALL)
        charlm.train([tiny_text], tmp_path / "r", steps=2, **SMALL)
        with pytest.raises(UsageError, match="no end"):
            charlm.train((), tmp_path / "r", resume=True, steps=None)

    @pytest.mark.parametrize("text", ["", "a", "ab" * 5])
    def test_too_little_text_is_a_data_error(self, tmp_path, text):
        (tmp_path / "t.txt").write_text(text)
        with pytest.raises(DataError):
            charlm.train([tmp_path / "t.txt"], tmp_path / "r", steps=1)

    def test_one_distinct_symbol_and_a_tiny_text_train(self, tmp_path):
        (tmp_path / "t.txt").write_text("a" * 40)
        summary = charlm.train([tmp_path / "t.txt"], tmp_path / "r", steps=3, threads=1)
        assert math.isfinite(summary["valid"]["nats_per_token"])


class TestLoad:
    def test_what_is_not_a_run_is_refused(self, tmp_path, tiny_run):
        with pytest.raises(RunError, match="does not exist"):
            charlm.load(tmp_path / "nothing")
        (tmp_path / "pickle.pt").write_bytes(b"\x80\x04\x95")
        with pytest.raises(RunError):
            charlm.load(tmp_path / "pickle.pt")
        with pytest.raises(RunError, match="Did you mean"):
            charlm.load(tiny_run.with_name(tiny_run.name + "x"))

    def test_info_tells_configuration_sizes_and_scores(self, model, tiny_run):
        info = model.info()
        assert info["run"] == str(tiny_run) and info["kind"] == "run"
        assert info["config"]["model"]["hidden_size"] == 24
        assert info["vocabulary_size"] == model.tokenizer.vocabulary_size
        assert info["parameters"] == info["summary"]["parameters"]
        assert info["step"] == info["summary"]["best_step"]


class TestGenerate:
    def test_stream_joins_to_generate(self, model):
        pieces = list(model.stream("the ", length=300, seed=3))
        assert len(pieces) > 10
        assert "".join(pieces) == model.generate("the ", length=300, seed=3)

    def test_length_counts_new_tokens_or_characters(self, model):
        assert model.generate("the ", length=0) == ""
        text = model.generate("the ", length=50, length_unit="characters", temperature=0.5)
        assert len(text) == 50

    def test_seeds_and_filters_matter_and_repeat(self, model):
        texts = {
            str(options): model.generate("the ", length=40, **options)
            for options in ({}, {"seed": 2}, {"temperature": 0.1}, {"top_k": 1}, {"greedy": True})
        }
        assert model.generate("the ", length=40) == texts["{}"]
        assert len(set(texts.values())) >= 4
        assert texts["{'top_k': 1}"] == texts["{'greedy': True}"]

    def test_greedy_takes_what_score_calls_most_probable(self, model):
        """The decoder without torch and the network with it are one model."""
        prompt = "the patient "
        (character,) = model.generate(prompt, length=1, greedy=True)
        bits = {
            c: next(iter(model.score([prompt + c]))).token_bits[-1]
            for c in sorted(set("abcdefghijklmnopqrstuvwxyz. \n" + character))
        }
        assert min(bits, key=bits.get) == character

    def test_stop_ends_a_text(self, model):
        text = model.generate("the ", length=300, seed=1, stop="\n")
        assert "\n" not in text and len(text) < 300

    def test_an_unknown_option_is_refused_by_name(self, model):
        with pytest.raises(UsageError, match=r"temprature.*temperature"):
            model.generate("a", temprature=1)
        with pytest.raises(UsageError, match=r"top-p|top_p"):
            model.generate("a", top_p=2.0)

    def test_unseen_characters_in_a_prompt_are_fine(self, model):
        assert isinstance(model.generate("聞\udb40"[:1], length=5), str)


class TestScoreAndEvaluate:
    LINES = ("the patient came\n", "\n", "zzz 聞 qqq\n", "with bread")

    def test_each_text_given_is_one_line(self, model):
        for lines in (self.LINES, ["the patient", "came to", "ward four"], iter(self.LINES)):
            given = list(lines)
            found = list(model.score(iter(given)))
            assert [line.text for line in found] == given
            for line in found:
                assert len(line.ids) == len(line.token_bits)
                assert line.bits == pytest.approx(line.token_bits.sum())
                assert model.tokenizer.decode(line.ids) == line.text

    def test_a_line_costs_the_same_alone(self, model):
        together = list(model.score(self.LINES))
        for line in together:
            (alone,) = model.score([line.text])
            np.testing.assert_allclose(alone.token_bits, line.token_bits, rtol=1e-5, atol=1e-5)

    def test_an_empty_text_has_no_token_to_score(self, model):
        with pytest.raises(DataError, match="empty"):
            list(model.score(["a\n", ""]))
        assert list(model.score([])) == []

    def test_a_lone_surrogate_is_the_texts_fault(self, model):
        with pytest.raises(DataError, match="surrogate"):
            list(model.score(["a\ud800\n"]))

    def test_carried_lines_sum_to_evaluate(self, model, tiny_text):
        lines = tiny_text.read_text(encoding="utf-8").splitlines(keepends=True) * 3
        path = tiny_text.with_name("thrice.txt")
        path.write_text("".join(lines), encoding="utf-8")
        figures = model.evaluate([path])
        bits = sum(line.bits for line in model.score(lines, carry_state=True))
        assert bits == pytest.approx(figures["bits_per_byte"] * figures["bytes"], rel=1e-5)

    def test_evaluate_gives_the_contracts_keys(self, model, tiny_text):
        figures = model.evaluate([tiny_text])
        assert set(figures) >= EVALUATE_KEYS
        text = tiny_text.read_text(encoding="utf-8")
        assert figures["characters"] == len(text)
        assert figures["bytes"] == len(text.encode())
        assert figures["words"] == len(text.split())

    def test_without_a_text_it_measures_the_runs_own_test_part(self, model):
        summary = model.info()["summary"]
        figures = model.evaluate()
        assert figures["tokens"] == summary["test"]["tokens"]
        assert figures["nats_per_token"] == pytest.approx(summary["test"]["nats_per_token"])

    def test_windows_are_never_easier_than_the_stream_by_much_and_change_the_figure(self, model):
        whole = model.evaluate()
        assert model.evaluate(window=10**6)["nats_per_token"] == pytest.approx(
            whole["nats_per_token"], rel=1e-6
        )
        assert model.evaluate(window=3)["nats_per_token"] > whole["nats_per_token"]
        some = model.evaluate(window=20, windows=4, seed=1)
        assert some["tokens"] == 80
        assert some != model.evaluate(window=20, windows=4, seed=2)

    def test_adapting_figures_take_settings(self, model, tiny_text):
        usual = model.evaluate(dynamic=True, cache=True)
        assert set(usual) == EVALUATE_KEYS | {"dynamic", "cache"}
        settings = {
            "dynamic": DynamicSettings(dynamic_lr=0.02),
            "cache": CacheSettings(cache_size=9),
        }
        other = model.evaluate(**settings)
        for way in settings:
            assert set(other[way]) == EVALUATE_KEYS
            assert other[way]["nats_per_token"] != usual[way]["nats_per_token"]
            assert model.evaluate(**{way: settings[way]})[way] == other[way]
        assert model.evaluate() == {key: usual[key] for key in EVALUATE_KEYS}
        counted = model.evaluate(counts=CountSettings(counts_order=2))
        assert set(counted) == EVALUATE_KEYS | {"counts"}
        assert counted != model.evaluate(counts=True)
        with pytest.raises(UsageError, match="--dynamic-lr is -1"):
            DynamicSettings(dynamic_lr=-1)
        with pytest.raises(UsageError, match="--window"):
            model.evaluate(window=3, cache=True)

    def test_bf16_is_near_and_asked_for(self, model):
        exact, narrow = model.evaluate(), model.evaluate(precision="bf16")
        assert narrow["nats_per_token"] != exact["nats_per_token"]
        assert narrow["nats_per_token"] == pytest.approx(exact["nats_per_token"], rel=0.01)
        assert model.evaluate() == exact

    @pytest.mark.parametrize("kernel", ["fused", "reference"])
    def test_kernels_agree(self, model, kernel):
        wanted = model.evaluate()["nats_per_token"]
        assert model.evaluate(kernel=kernel)["nats_per_token"] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"temporal_dropout": 0.4, "temporal_dropout_kind": "zoneout"},
        {"cell": "gru-cho", "bias": False},
        {"cell": "rnn", "nonlinearity": "relu", "init": "identity"},
        {"layers": 2, "last_hidden_size": 5},
        {"tokenizer": "word", "min_count": 2, "direction": "backward"},
        {"tokenizer": "unigram"},
    ],
    ids=lambda options: next(iter(options)) + " " + str(next(iter(options.values()))),
)
def test_an_exported_file_is_the_run_whatever_the_network(options, tiny_text, tmp_path):
    run, file = tmp_path / "run", tmp_path / "model.charlm"
    charlm.train([tiny_text], run, steps=6, **(SMALL | options))
    charlm.api.export(run, file)
    models = charlm.load(run), charlm.load(file)
    line = "the patient slept well\n"
    texts = [model.generate("the ", length=20) for model in models]
    bits = [next(model.score([line])).bits for model in models]
    figures = [model.evaluate([tiny_text]) for model in models]
    assert texts[0] == texts[1]
    assert bits[0] == bits[1]
    assert figures[0] == figures[1]
    for model in models:
        assert model.tokenizer.decode(model.tokenizer.encode(line)) == line
