"""Batches as a function of (seed, position)."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from minillm.data import EndlessShuffle, PackedWindows, ShuffledDocuments
from minillm.errors import ConfigError, DataError

# The order of items.


@given(st.integers(1, 50), st.integers(0, 2**40), st.integers(0, 10**6))
def test_every_epoch_visits_each_item_once(n_items, seed, epoch):
    shuffle = EndlessShuffle(n_items, seed=seed)
    visits = [shuffle.at(epoch * n_items + place) for place in range(n_items)]
    assert sorted(visits) == [(epoch, item) for item in range(n_items)]


@given(st.integers(1, 9), st.integers(0, 9), st.lists(st.integers(0, 200), max_size=20))
def test_an_item_depends_on_seed_and_position_only(n_items, seed, positions):
    shuffle = EndlessShuffle(n_items, seed=seed)
    for position in positions:
        assert shuffle.at(position) == EndlessShuffle(n_items, seed=seed).at(position)


def test_the_next_batch_needs_no_state_row16():
    """After any number of batches, the one that is due is known from its number alone."""
    read = windows_of(50, 5, batch_size=4)
    expected = [read.batch_at(index) for index in range(40)]
    for index in (0, 3, 17, 39):
        assert torch.equal(windows_of(50, 5, batch_size=4).batch_at(index), expected[index])


def test_epochs_and_seeds_differ():
    orders = {
        tuple(EndlessShuffle(20, seed=seed).at(epoch * 20 + i)[1] for i in range(20))
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9  # 20! orders: two equal ones would be no chance


def test_items_are_equally_likely_everywhere():
    """Over n epochs an item stands first n/5 times, give or take 5 σ of a binomial."""
    n = 2000
    first = np.bincount([EndlessShuffle(5, seed=1).at(epoch * 5)[1] for epoch in range(n)])
    assert np.abs(first - n / 5).max() < 5 * np.sqrt(n * 0.2 * 0.8)


def test_nothing_to_shuffle_and_positions_before_the_start_are_refused():
    with pytest.raises(DataError, match="nothing to shuffle: 0 items"):
        EndlessShuffle(0, seed=0)
    with pytest.raises(ValueError, match="position must be 0 or more, got -1"):
        EndlessShuffle(3, seed=0).at(-1)


# Windows.


def windows_of(n_tokens, context_length, *, batch_size=1, seed=0):
    """Windows of a stream in which every token is its own position."""
    stream = np.arange(n_tokens, dtype=np.uint16)
    return PackedWindows(stream, context_length=context_length, batch_size=batch_size, seed=seed)


@given(st.integers(1, 7), st.integers(2, 60), st.integers(0, 99), st.integers(0, 5))
def test_every_token_is_a_target_once_an_epoch_where_the_cuts_allow(length, extra, seed, epoch):
    n_tokens = length + extra
    windows = windows_of(n_tokens, length, seed=seed)
    n = windows.n_windows
    rows = torch.cat([windows.batch_at(epoch * n + index) for index in range(n)])
    assert (rows.diff(dim=1) == 1).all()  # each is a piece of the stream
    targets = rows[:, 1:].flatten().tolist()
    assert len(targets) == len(set(targets)) == n * length  # none twice
    assert sorted(targets) == [*range(min(targets), max(targets) + 1)]  # no gap between windows
    left_out = n_tokens - 1 - len(targets)  # the first token is never a target
    assert left_out < 2 * length


def test_over_the_epochs_every_token_is_a_target_at_every_place():
    """Else some tokens would always lack their context."""
    windows = windows_of(23, 5)
    seen = {
        (place, int(token))
        for index in range(400 * windows.n_windows)
        for place, token in enumerate(windows.batch_at(index)[0, 1:])
    }
    assert {token for _, token in seen} == set(range(1, 23))
    middle = range(10, 15)  # the ends cannot stand at every place
    assert {(place, token) for place in range(5) for token in middle} <= seen


def test_batches_are_windows_in_the_order_of_the_shuffle():
    windows, single = windows_of(100, 7, batch_size=3), windows_of(100, 7)
    for index in (0, 4, 5, 31):  # 12 windows an epoch: batch 4 starts the second
        expected = torch.cat([single.batch_at(3 * index + row) for row in range(3)])
        assert torch.equal(windows.batch_at(index), expected)
    assert windows.batch_at(0).dtype == torch.int64
    assert windows.batch_at(0).shape == (3, 8)
    starts = [int(windows.batch_at(index)[0, 0]) for index in range(4)]
    assert starts != sorted(starts)


def test_a_window_is_the_shuffled_one():
    windows = windows_of(100, 7, seed=3)
    order = EndlessShuffle(windows.n_windows, seed=3)
    n = windows.n_windows
    for epoch in range(3):
        starts = [int(windows.batch_at(epoch * n + k)[0, 0]) for k in range(n)]
        cut = min(starts)
        assert starts == [cut + 7 * order.at(epoch * n + k)[1] for k in range(n)]


def test_epochs_are_counted_in_windows():
    windows = windows_of(100, 7, batch_size=3)
    assert windows.n_windows == 13
    assert [windows.epoch_at(index) for index in (0, 13)] == [0.0, 3.0]


@pytest.mark.parametrize("dtype", ["<u2", "<u4", np.int64])
def test_the_width_of_the_stream_does_not_matter(dtype):
    stream = np.array([65535, 0, 65534, 7, 3], dtype)
    windows = PackedWindows(stream, context_length=4, batch_size=1, seed=0)
    assert windows.batch_at(0).tolist() == [stream.tolist()]


@pytest.mark.parametrize("n_tokens", [8, 9, 14, 15, 16])
def test_the_shortest_texts_have_a_window(n_tokens):
    windows = windows_of(n_tokens, 7)
    for index in range(20):
        row = windows.batch_at(index)[0]
        assert row.shape == (8,)
        assert int(row[0]) + 7 == int(row[-1]) < n_tokens


@pytest.mark.parametrize("n_tokens", [0, 1, 7])
def test_too_short_a_text_states_both_lengths_row21(n_tokens):
    with pytest.raises(DataError, match=rf"has {n_tokens} tokens, but one window needs .* = 8:"):
        windows_of(n_tokens, 7)


@pytest.mark.parametrize("sizes", [{"context_length": 0}, {"batch_size": 0}, {"batch_size": -2}])
def test_sizes_must_be_positive(sizes):
    name, value = next(iter(sizes.items()))
    with pytest.raises(ConfigError, match=f"{name} must be positive, got {value}"):
        PackedWindows(np.arange(9), **{"context_length": 3, "batch_size": 2, "seed": 0} | sizes)


class Batches(torch.utils.data.Dataset):
    """The batches as torch's loader reads them."""

    def __init__(self, windows, n):
        self.windows, self.n = windows, n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return self.windows.batch_at(index)


@pytest.mark.parametrize("n_workers", [0, 1, 2])
def test_batches_are_the_same_with_any_number_of_processes_row28(n_workers):
    n = 30  # several epochs
    expected = [windows_of(50, 5, batch_size=4).batch_at(index) for index in range(n)]
    loader = DataLoader(
        Batches(windows_of(50, 5, batch_size=4), n), batch_size=None, num_workers=n_workers
    )
    found = list(loader)
    assert len(found) == n
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("n_threads", [1, 2])
def test_batches_are_the_same_with_any_number_of_threads_row28(n_threads):
    n = 200
    expected = [windows_of(50, 5, batch_size=4).batch_at(index) for index in range(n)]
    shared = windows_of(50, 5, batch_size=4)
    with ThreadPoolExecutor(n_threads) as pool:
        found = list(pool.map(shared.batch_at, range(n)))
    assert all(map(torch.equal, found, expected))


def at_while(shuffle, position, n_lines, other):
    """Call ``at(position)``; before its line number ``n_lines``, another thread calls ``other``."""
    n_seen = 0

    def trace(frame, event, _):
        nonlocal n_seen
        if frame.f_code is not EndlessShuffle.at.__code__:
            return None
        n_seen += event == "line"
        if event == "line" and n_seen == n_lines:
            sys.settrace(None)
            shuffle.at(other)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return shuffle.at(position)
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("n_lines", range(1, 12))
@pytest.mark.parametrize("first", [0, 9, 18])
def test_a_thread_in_another_epoch_disturbs_nobody_row28(first, n_lines):
    shuffle = EndlessShuffle(9, seed=0)
    shuffle.at(first)  # one of three epochs is in the cache
    assert at_while(shuffle, 4, n_lines, other=9 + 4) == EndlessShuffle(9, seed=0).at(4)


def test_documents_come_whole_and_each_once_an_epoch():
    documents = [[[i], [i, i]] for i in range(6)]
    shuffled = ShuffledDocuments(documents, batch_size=2, seed=0)
    for epoch in range(3):
        batches = [shuffled.batch_at(3 * epoch + index) for index in range(3)]
        assert sorted(document for batch in batches for document in batch) == documents
    assert shuffled.batch_at(1) == ShuffledDocuments(documents, batch_size=2, seed=0).batch_at(1)
    with pytest.raises(DataError, match="0 items"):
        ShuffledDocuments([], batch_size=1, seed=0)
    with pytest.raises(ConfigError, match="batch_size must be positive, got 0"):
        ShuffledDocuments(documents, batch_size=0, seed=0)
