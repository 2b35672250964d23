from itertools import pairwise

import pytest

from minillm.data import SimilarLengths
from minillm.errors import ConfigError, DataError

LENGTHS = [(37 * i) % 101 for i in range(1003)]


def epoch(batches, number):
    first = number * batches.n_batches
    return [batches.batch_at(first + place) for place in range(batches.n_batches)]


def test_every_epoch_visits_each_item_once_in_another_order():
    batches = SimilarLengths(LENGTHS, batch_size=7, seed=0)
    first, second = epoch(batches, 0), epoch(batches, 1)
    for one in (first, second):
        assert sorted(item for batch in one for item in batch) == list(range(1003))
        assert sorted(map(len, one)) == [2] + [7] * 143
    assert first != second
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}


def test_lengths_in_a_batch_are_alike_and_batches_are_shuffled():
    batches = epoch(SimilarLengths(LENGTHS, batch_size=7, seed=0), 0)
    spread = [max(ls) - min(ls) for b in batches for ls in [[LENGTHS[i] for i in b]]]
    assert sum(spread) / len(spread) < 101 / 10  # at random it would be about 76
    means = [sum(LENGTHS[i] for i in b) / len(b) for b in batches]
    assert means != sorted(means)
    rises = sum(b > a for a, b in pairwise(means))
    assert 0.3 < rises / len(means) < 0.7  # no trend from short to long


def test_a_batch_depends_on_seed_and_number_only():
    batches = SimilarLengths(LENGTHS, batch_size=7, seed=3)
    wanted = [batches.batch_at(index) for index in (500, 3, 144)]
    again = SimilarLengths(LENGTHS, batch_size=7, seed=3)
    assert [again.batch_at(index) for index in (500, 3, 144)] == wanted
    assert SimilarLengths(LENGTHS, batch_size=7, seed=4).batch_at(3) != wanted[1]


def test_nothing_to_batch_is_refused():
    with pytest.raises(DataError, match="0 items"):
        SimilarLengths([], batch_size=7, seed=0)
    with pytest.raises(ConfigError, match="batch_size must be positive"):
        SimilarLengths(LENGTHS, batch_size=0, seed=0)
