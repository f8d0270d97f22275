"""Subsets of labelled texts: nested, stratified, every class at once."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.text.labelled_subsets import nested_order


@settings(max_examples=100, deadline=None)
@given(
    labels=st.lists(st.sampled_from("aaaabbc"), min_size=1, max_size=60), seed=st.integers(0, 99)
)
def test_every_beginning_has_the_classes_shares(labels: list[str], seed: int) -> None:
    order = nested_order(labels, seed, "place")
    assert sorted(order) == list(range(len(labels)))
    totals = Counter(labels)
    classes = len(totals)
    assert len({labels[number] for number in order[:classes]}) == classes
    for size in range(classes, len(labels) + 1):
        found = Counter(labels[number] for number in order[:size])
        for label, total in totals.items():
            # One text is a class's own at the start, and one may be rounded.
            assert abs(found[label] - total * size / len(labels)) < 1 + classes


def test_seeds_and_places_draw_other_texts() -> None:
    labels = list("ab" * 30)
    first = {seed: frozenset(nested_order(labels, seed, "train")[:10]) for seed in range(30)}
    assert len(set(first.values())) == 30
    assert nested_order(labels, 1, "train") == nested_order(labels, 1, "train")
    assert nested_order(labels, 1, "train") != nested_order(labels, 1, "valid")
    times = Counter(number for chosen in first.values() for number in chosen)
    assert max(times.values()) < 16  # 5 expected
