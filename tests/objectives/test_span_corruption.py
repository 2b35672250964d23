"""Span corruption: the text comes back, in T5's form, at the rates that were asked for."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.errors import ConfigError, DataError
from minillm.objectives.span_corruption import (
    SpanCorruption,
    noise_mask,
    rebuild,
    span_corruption_batch,
)
from minillm.tokenizers import (
    DEFAULT_SPECIAL_TOKENS,
    SENTINEL_TOKENS,
    ByteTokenizer,
    sentinel_ids,
)

EOS, PAD, FIRST = 1, 0, 1000
SENTINELS = tuple(range(FIRST + 99, FIRST - 1, -1))  # as T5's, the first has the greatest id


def make(**changes):
    return SpanCorruption(sentinel_ids=SENTINELS, eos_id=EOS, pad_id=PAD, **changes)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def spans_of(mask):
    """Return (start, length) of each run of True, counted one token after the other."""
    spans, inside = [], False
    for place, is_noise in enumerate(mask.tolist()):
        if is_noise and not inside:
            spans.append([place, 0])
        if is_noise:
            spans[-1][1] += 1
        inside = is_noise
    return [tuple(span) for span in spans]


@given(
    text=st.lists(st.integers(0, 900), min_size=2, max_size=70),
    seed=st.integers(0, 2**31),
    density=st.floats(0.01, 0.99),
    mean_length=st.floats(1.0, 12.0),
    closes=st.booleans(),
)
@settings(deadline=None)
def test_the_text_comes_back(text, seed, density, mean_length, closes):
    corruption = make(
        noise_density=density, mean_span_length=mean_length, closes_with_sentinel=closes
    )
    batch = span_corruption_batch([text, text[::-1]], seeded(seed), corruption=corruption)
    for row, expected in enumerate((text, text[::-1])):
        inputs, targets = batch.inputs[row], batch.targets[row]
        assert rebuild(inputs, targets, corruption=corruption) == expected
        kept = [token for token in inputs.tolist() if token < FIRST]
        cut = [token for token in targets.tolist() if token < FIRST]
        assert sorted(kept + cut) == sorted([*expected, EOS, EOS])  # nothing is told twice


def test_sentinels_count_up_each_once_and_spans_do_not_touch():
    corruption = make(noise_density=0.4, mean_span_length=1.5)
    ids = torch.arange(2, 60).expand(50, -1)
    batch = span_corruption_batch(ids, seeded(0), corruption=corruption)
    n_spans = corruption.counts(58).n_spans
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        for row in (inputs, targets):
            assert [token for token in row if token >= FIRST] == list(SENTINELS[:n_spans])
            assert row[-1] == EOS
        places = [place for place, token in enumerate(inputs) if token >= FIRST]
        assert min(b - a for a, b in pairwise(places)) > 1


def test_targets_are_shifted_to_the_right_for_the_decoder():
    batch = span_corruption_batch([[5] * 9, [6] * 40], seeded(0), corruption=make())
    assert batch.decoder_inputs[:, 0].tolist() == [PAD, PAD]
    targets = batch.targets.masked_fill(batch.targets == -100, PAD)
    assert torch.equal(batch.decoder_inputs[:, 1:], targets[:, :-1])
    assert torch.equal(batch.is_padding, batch.inputs == PAD)
    assert (batch.targets == -100).any()  # the short text has fewer
    same = span_corruption_batch([[5] * 9, [6] * 9], seeded(0), corruption=make())
    assert same.is_padding is None
    assert (same.targets != -100).all()


@pytest.mark.parametrize(("density", "mean_length"), [(0.15, 3.0), (0.5, 3.0), (0.15, 10.0)])
def test_density_and_mean_length_are_those_asked_for(density, mean_length):
    corruption = make(noise_density=density, mean_span_length=mean_length)
    lengths = set()
    for seed in range(20):
        mask = noise_mask(200, seeded(seed), corruption=corruption)
        spans = spans_of(mask)
        n_noise = int(mask.sum())
        assert n_noise == round(200 * density)
        assert abs(len(spans) - n_noise / mean_length) <= 0.5
        assert not mask[0]  # T5 begins with a token that stays
        assert mask[-1]  # and ends in a span
        lengths |= {length for _, length in spans}
    assert len(lengths) > 3  # drawn, not all of the mean


def test_all_ways_of_cutting_are_equally_likely():
    """5 tokens cut, 5 kept, in 3 spans: C(4, 2)² = 36 masks; 5 standard deviations around each."""
    corruption = make(noise_density=0.5, mean_span_length=5 / 3)
    assert corruption.counts(10) == (5, 3)
    n_draws, counts, generator = 7200, {}, seeded(0)
    for _ in range(n_draws):
        key = tuple(noise_mask(10, generator, corruption=corruption).tolist())
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 36
    deviation = (n_draws / 36 * (1 - 1 / 36)) ** 0.5
    assert all(abs(count - n_draws / 36) < 5 * deviation for count in counts.values())


def test_another_generator_cuts_elsewhere_and_the_source_stays():
    ids = torch.arange(2, 102)[None]
    before = ids.clone()
    first, again, other = (
        span_corruption_batch(ids, seeded(seed), corruption=make()).inputs for seed in (0, 0, 1)
    )
    assert torch.equal(ids, before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_closing_sentinel_stands_in_the_papers_figure_only():
    text = [list(range(2, 42))]
    ends = {}
    for closes in (False, True):
        corruption = make(closes_with_sentinel=closes)
        batch = span_corruption_batch(text, seeded(3), corruption=corruption)
        ends[closes] = batch.targets[0].tolist()
        assert batch.inputs.shape[1], batch.targets.shape[1] == corruption.lengths(40)
    n_spans = make().counts(40).n_spans
    assert ends[True] == [*ends[False][:-1], SENTINELS[n_spans], EOS]


@pytest.mark.parametrize("closes", [False, True])
def test_lengths_are_known_before(closes):
    corruption = make(noise_density=0.3, closes_with_sentinel=closes)
    for n_tokens in (2, 3, 10, 57, 300):
        batch = span_corruption_batch([[7] * n_tokens], seeded(0), corruption=corruption)
        shapes = batch.inputs.shape[1], batch.targets.shape[1]
        assert shapes == corruption.lengths(n_tokens)
    for limit in (5, 31, 64):
        n_tokens = corruption.longest_text(limit)
        assert max(corruption.lengths(n_tokens)) <= limit < max(corruption.lengths(n_tokens + 1))
    assert make().lengths(568) == (512, 114)  # what T5's code computes


def test_rebuild_refuses_what_does_not_belong_together():
    a, b, c = SENTINELS[:3]
    good = [7, a, 8, b, EOS], [a, 5, b, 6, 6, EOS]
    assert rebuild(*good, corruption=make()) == [7, 5, 8, 6, 6]
    assert rebuild([*good[0], PAD], [*good[1][:-1], c, EOS, -100], corruption=make()) == [
        7, 5, 8, 6, 6,
    ]  # fmt: skip
    for inputs, targets in [
        ([7, b, 8, a, EOS], good[1]),
        (good[0], [b, 5, a, 6, EOS]),
        ([7, a, 8, EOS], [a, 5, b, 6, EOS]),
        ([7, a, 8, a, EOS], good[1]),
        (good[0], [a, 5, EOS]),
    ]:
        with pytest.raises(DataError, match="must be 0, 1, 2"):
            rebuild(inputs, targets, corruption=make())
    with pytest.raises(DataError, match="must begin with a sentinel"):
        rebuild(good[0], [5, a, EOS], corruption=make())
    with pytest.raises(DataError, match=r"must end with eos_id=1, got \[\d+, 8, "):
        rebuild(good[0][:-1], good[1], corruption=make())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_density": 0.0}, "noise_density"),
        ({"noise_density": 1.0}, "noise_density"),
        ({"mean_span_length": 0.9}, "mean_span_length"),
        ({"sentinel_ids": ()}, "sentinel_ids must be given"),
        ({"sentinel_ids": (5, 5)}, "differ from each other"),
        ({"sentinel_ids": (EOS, 5)}, "differ from each other"),
    ],
)
def test_settings_without_meaning_are_refused(changes, message):
    given = {"sentinel_ids": SENTINELS, "eos_id": EOS, "pad_id": PAD} | changes
    with pytest.raises(ConfigError, match=message):
        SpanCorruption(**given)


def test_texts_that_cannot_be_corrupted_are_refused():
    with pytest.raises(DataError, match="two tokens or more, got 1"):
        span_corruption_batch([[5]], seeded(0), corruption=make())
    with pytest.raises(DataError, match="corrupt each text once"):
        span_corruption_batch([[5, FIRST, 6]], seeded(0), corruption=make())
    few = SpanCorruption(sentinel_ids=(7, 8), eos_id=EOS, pad_id=PAD)
    with pytest.raises(ConfigError, match="100 tokens needs 5 sentinels, but there are 2"):
        span_corruption_batch([[5] * 100], seeded(0), corruption=few)
    with pytest.raises(ConfigError, match="context_length=2 is too short"):
        make().longest_text(2)


def test_a_tokenizer_says_its_sentinels_or_what_to_do():
    special_tokens = (*DEFAULT_SPECIAL_TOKENS, *SENTINEL_TOKENS[:11])
    tokenizer = ByteTokenizer(special_tokens=special_tokens)
    ids = sentinel_ids(tokenizer)
    assert [tokenizer.token_text(token) for token in ids[:2]] == ["<extra_id_0>", "<extra_id_1>"]
    assert len(ids) == 11
    with pytest.raises(ConfigError, match=r"no special token '<extra_id_0>': train it with"):
        sentinel_ids(ByteTokenizer())
