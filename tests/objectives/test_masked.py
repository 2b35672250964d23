"""Masking draws what was asked for, hides only what may be hidden, and remembers the truth."""

import math

import pytest
import torch

from minillm.batch import IGNORE_INDEX
from minillm.errors import ConfigError
from minillm.objectives.masked import (
    Masking,
    masked_batch,
    span_masked_batch,
    without_fates,
)

MASK, FIRST, V = 3, 5, 997
MASKING = Masking(mask_id=MASK, ordinary_ids=(FIRST, V))


@pytest.fixture
def token_ids():
    """Ids of all kinds; below FIRST they are special."""
    return torch.randint(0, V, (61, 1009), generator=torch.Generator().manual_seed(1))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def within_five_sigma(n_hits, n_draws, share):
    return abs(n_hits - n_draws * share) < 5 * math.sqrt(n_draws * share * (1 - share))


def test_the_shares_are_those_asked_for(token_ids):
    """Five standard errors of a binomial count: a right collator fails once in two million."""
    maskable = token_ids >= FIRST
    batch = masked_batch(token_ids, generator(), masking=MASKING, maskable=maskable)
    chosen = batch.targets != IGNORE_INDEX
    n_chosen = int(chosen.sum())
    assert within_five_sigma(n_chosen, int(maskable.sum()), 0.15)
    hidden = int((batch.inputs[chosen] == MASK).sum())
    kept = int((batch.inputs[chosen] == token_ids[chosen]).sum())
    accidental = 0.1 / (V - FIRST)  # a random token may be the true one
    assert within_five_sigma(hidden, n_chosen, 0.8)
    assert within_five_sigma(kept, n_chosen, 0.1 + accidental)
    replaced = batch.inputs[chosen][batch.inputs[chosen] != MASK]
    assert bool((replaced >= FIRST).all())


@pytest.mark.parametrize("make", [masked_batch, span_masked_batch])
def test_only_what_may_be_hidden_is_touched_and_the_truth_is_kept(token_ids, make):
    maskable = (token_ids >= FIRST) & (torch.arange(1009) % 7 != 2)
    before = token_ids.clone()
    batch = make(token_ids, generator(), masking=MASKING, maskable=maskable)
    assert torch.equal(token_ids, before)
    chosen = batch.targets != IGNORE_INDEX
    assert not bool((chosen & ~maskable).any())
    assert torch.equal(batch.inputs[~chosen], token_ids[~chosen])
    assert torch.equal(batch.targets[chosen], token_ids[chosen])


def test_another_generator_draws_other_masks_and_the_same_one_the_same(token_ids):
    options = {"masking": MASKING, "maskable": token_ids >= FIRST}
    first = masked_batch(token_ids, generator(1), **options)
    again = masked_batch(token_ids, generator(1), **options)
    other = masked_batch(token_ids, generator(2), **options)
    assert torch.equal(first.inputs, again.inputs)
    both = (first.targets != IGNORE_INDEX) & (other.targets != IGNORE_INDEX)
    n = int((token_ids >= FIRST).sum())
    assert within_five_sigma(int(both.sum()), n, 0.15**2)


def test_words_are_chosen_whole(token_ids):
    lengths = torch.arange(1, 60)
    word_ids = torch.repeat_interleave(torch.arange(59), lengths)[:1009].expand_as(token_ids)
    maskable = torch.ones_like(token_ids, dtype=torch.bool)
    options = {"masking": MASKING, "maskable": maskable, "word_ids": word_ids}
    batch = masked_batch(token_ids, generator(), **options)
    chosen = batch.targets != IGNORE_INDEX
    n_chosen = 0
    for word in range(int(word_ids.max()) + 1):
        of_word = chosen[:, word_ids[0] == word]
        assert torch.equal(of_word.any(1), of_word.all(1))
        n_chosen += int(of_word.any(1).sum())
    assert within_five_sigma(n_chosen, 61 * (int(word_ids.max()) + 1), 0.15)
    fates = batch.inputs == MASK
    mixed = fates[:, word_ids[0] == 40] & chosen[:, word_ids[0] == 40]
    rows = chosen[:, word_ids[0] == 40].all(1)
    assert bool(mixed[rows].any())  # the fate is drawn token by token


def test_spans_have_the_mean_length_and_one_fate(token_ids):
    maskable = torch.ones_like(token_ids, dtype=torch.bool)
    masking = Masking(mask_id=MASK, ordinary_ids=(FIRST, V), rate=0.02)  # spans hardly touch
    batch = span_masked_batch(token_ids, generator(), masking=masking, maskable=maskable)
    lengths, fates = [], []
    for row_inputs, row_targets in zip(batch.inputs, batch.targets, strict=True):
        run = []
        for token, target in zip(
            [*row_inputs.tolist(), 0], [*row_targets.tolist(), -100], strict=True
        ):
            if target != IGNORE_INDEX:
                run.append(token == MASK)
            elif run:
                lengths.append(len(run))
                fates.append(len(set(run)))
                run = []
    share = sum(lengths) / token_ids.numel()
    assert share == pytest.approx(0.02, rel=0.02)
    assert max(lengths) <= 20  # two neighbors at the most
    assert sum(lengths) / len(lengths) == pytest.approx(3.8, abs=0.45)
    assert fates.count(1) > 0.95 * len(fates)


def test_a_floor_exists_where_every_chosen_token_is_hidden(token_ids):
    masking = without_fates(MASKING)
    options = {"masking": masking, "maskable": token_ids >= FIRST}
    batch = masked_batch(token_ids, generator(), **options)
    assert bool((batch.inputs[batch.targets != IGNORE_INDEX] == MASK).all())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": 0.0}, r"rate must be in \(0, 1\], got 0.0"),
        ({"mask_share": 0.95}, "must be parts of 1"),
        ({"ordinary_ids": (5, 5)}, "ordinary_ids must be a range"),
    ],
)
def test_a_masking_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        Masking(**({"mask_id": MASK, "ordinary_ids": (FIRST, V)} | changes))


def test_a_mean_that_no_span_can_have_is_refused(token_ids):
    with pytest.raises(ConfigError, match=r"mean_length must be from 1 to below 5\.5"):
        span_masked_batch(
            token_ids, generator(), masking=MASKING, maskable=token_ids >= 0, mean_length=6.0
        )


def test_shapes_that_do_not_fit_are_refused(token_ids):
    with pytest.raises(ValueError, match="maskable a bool tensor of that shape"):
        masked_batch(token_ids, generator(), masking=MASKING, maskable=token_ids[:, :3] > 0)
    with pytest.raises(ValueError, match=r"word_ids .* must have the shape"):
        masked_batch(
            token_ids, generator(), masking=MASKING, maskable=token_ids > 0, word_ids=token_ids[:2]
        )
