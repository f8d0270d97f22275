"""Series of numbers as texts, and back as levels."""

import io
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import DataError, RunError
from charlm.text.levels import Levels, carried
from charlm.text.series import as_text, as_words, read_series, usual_step
from charlm.text.tokenizers.base import Tokenizer, TokenizerSettings, fit_tokenizer


def silent(message: str) -> None:
    pass


def tokenizer_of(text: str) -> Tokenizer:
    settings = TokenizerSettings(kind="word", word_split="whitespace", min_count=2)
    return fit_tokenizer(settings, [text])


def test_a_value_a_line_and_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "hr.txt"
    path.write_text("86\n\n 87.5 \nNA\n-3e1\nnan\n", "utf-8")
    found = read_series(str(path), say=silent)
    np.testing.assert_array_equal(found, [86, np.nan, 87.5, np.nan, -30, np.nan])
    piped = read_series("-", stdin=io.BytesIO(path.read_bytes()), say=silent)
    np.testing.assert_array_equal(piped, found)


@pytest.mark.parametrize(
    ("name", "content", "column", "header"),
    [
        ("a.csv", 'minute,"the, rate"\n0,86\n1,\n2,87.5\n', "the, rate", True),
        ("a.tsv", "minute\tbpm\n0\t86\n1\t?\n2\t87.5\n", "bpm", True),
        ("noname", "0,86\n1,NaN\n2,87.5\n", "1", False),
    ],
)
def test_a_column_of_a_table(
    name: str, content: str, column: str, header: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    found = read_series(str(tmp_path / name), column, header=header, say=silent)
    np.testing.assert_array_equal(found, [86, np.nan, 87.5])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("86\n87,5\n88\n", "line 2 ('87,5')"),
        ("86\ninf\n", "line 2 ('inf')"),
        ("1_0\n", "line 1 ('1_0')"),
        ("secret of a patient\n", "line 1 ('secret o')"),
        ("", "0 values"),
        ("\n?\n", "2 values, all of them missing"),
    ],
)
def test_what_is_no_series_is_refused(content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(content, "utf-8")
    with pytest.raises(DataError) as refused:
        read_series(str(tmp_path / "a.txt"), say=silent)
    assert told in refused.value.what and "patient" not in str(refused.value)


def test_values_become_the_nearest_step() -> None:
    values = np.array([86.2, 86.4, math.nan, 87.1, -0.2, -0.3])
    assert as_text(as_words(values, Decimal("0.5"))) == "86.0 86.5 ? 87.0 0.0 -0.5\n"
    assert as_words(np.array([14.9, 15, 1e6]), Decimal(10)) == ["10", "20", "1000000"]


@settings(deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    st.sampled_from(["0.001", "0.05", "0.2", "1", "5", "20"]),
)
def test_no_value_is_further_from_its_word_than_half_a_step(values: list[float], step: str) -> None:
    words = as_words(np.array(values), Decimal(step))
    for value, word in zip(values, words, strict=True):
        assert abs(Decimal(value) - Decimal(word)) <= Decimal(step) / 2
        assert Decimal(word) % Decimal(step) == 0
    assert as_words(np.array([float(word) for word in words]), Decimal(step)) == words


@settings(deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50))
def test_the_usual_step_cuts_most_values_into_some_forty(values: list[float]) -> None:
    found = np.array(values)
    step = usual_step(found)
    assert step.normalize().as_tuple().digits in ((1,), (2,), (5,))
    low, high = np.quantile(found, [0.01, 0.99])
    count = (high - low) / float(step)
    assert count <= 40.000001 and (count > 15.9 or high - low < 1e-3 * max(abs(high), 1))


def test_levels_are_the_numbers_among_the_words() -> None:
    levels = Levels(tokenizer_of("-1.5 2 0.5 ? 2 0.5 -1.5 ? x x nan nan\n"), "a run")
    assert levels.values.tolist() == [-1.5, 0.5, 2] and levels.step == 1.5


@pytest.mark.parametrize("marked", [True, False])
def test_a_series_is_encoded_by_the_nearest_levels(marked: bool) -> None:
    tokenizer = tokenizer_of("84 86 88 90\n" * 2 + ("? ?\n" if marked else ""))
    levels = Levels(tokenizer, "a run")
    values = np.array([math.nan, 84.9, 85.1, math.nan, 91.1, 90.9, 20, math.inf])
    ids, missing, outside = levels.encode(values)
    assert (missing, outside) == (2, 3)
    text = tokenizer.decode(ids)
    assert text == ("? 84 86 ? 90 90 84 90" if marked else "84 86 86 90 90 84 90")
    whole = tokenizer.encode("84 86 88 90")
    assert levels.encode(np.array([84.0, 86, 88, 90])).ids.tolist() == whole.tolist()


@pytest.mark.parametrize("text", ["no numbers here here\n", "7 7 seven seven\n"])
def test_a_model_of_other_words_is_refused(text: str) -> None:
    with pytest.raises(RunError, match="has learned no series"):
        Levels(tokenizer_of(text), "a run")


def test_missing_values_are_those_before_them() -> None:
    nan = math.nan
    np.testing.assert_array_equal(
        carried(np.array([nan, 1, nan, nan, 2, nan])), [nan, 1, 1, 1, 2, 2]
    )
    assert carried(np.array([])).tolist() == []


def test_a_series_is_one_file(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("1\n2\n")
    with pytest.raises(DataError, match="2 files"):
        read_series(str(tmp_path), say=silent)


def test_a_value_far_from_the_others_has_its_word(tmp_path: Path) -> None:
    """As instruments write what they did not see."""
    step = Decimal("0.1")
    for value in (9.96921e36, -1e34, 1e300):
        (word,) = as_words(np.array([value]), step)
        assert float(word) == pytest.approx(value, rel=1e-12)
