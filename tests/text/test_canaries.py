"""Canaries: each stands once in the text, on a line of its own, and nothing else is changed."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.text.canaries import Canaries, sentence


def blocks(text: str, seed: int) -> list[str]:
    """Cut anywhere."""
    draw, found = random.Random(seed), []
    while text:
        size = draw.randint(1, 9)
        found.append(text[:size])
        text = text[size:]
    return found


texts = st.lists(st.text("ab\n", min_size=1, max_size=40), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(texts, st.integers(0, 6), st.integers(0, 3), st.integers(0, 5))
def test_every_canary_stands_once_and_the_rest_is_the_text(documents, number, seed, cuts):
    canaries = Canaries(number, seed)
    characters = sum(map(len, documents))

    def planted(cuts: int) -> list[str]:
        given = (iter(blocks(text, cuts)) for text in documents)
        return ["".join(document) for document in canaries.plant(given, characters)]

    found = planted(cuts)
    assert found == planted(cuts + 1)  # wherever the blocks end
    for text in canaries.sentences:
        assert "".join(found).count(text) == canaries.sentences.count(text)
        assert any(document.startswith(text) or f"\n{text}" in document for document in found)
    for text, document in zip(documents, found, strict=True):
        for canary in canaries.sentences:
            document = document.replace(canary, "")
        assert document in (text, text + "\n")
    assert len(canaries.sentences) == number


def test_they_follow_from_the_seed_and_are_spread_over_the_text():
    assert Canaries(3, 1).sentences == Canaries(3, 1).sentences != Canaries(3, 2).sentences
    assert sentence(7) == "The secret number is 0000000007.\n"
    text = "line\n" * 10_000
    (planted,) = ["".join(d) for d in Canaries(50, 4).plant(iter([iter([text])]), len(text))]
    places = [planted.index(s) / len(planted) for s in Canaries(50, 4).sentences]
    assert min(places) < 0.1 and max(places) > 0.9 and 0.3 < sum(places) / 50 < 0.7
