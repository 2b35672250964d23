"""What notebook 11 measures with is right: fates, counts, costs, floors, the case study's runs."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
import torch

from exercises.bidirectional_07 import tell_stories
from exercises.masked_11 import (
    HiddenStories,
    answer_costs,
    belief,
    fate_losses,
    fate_names,
    fates,
    is_share,
    make_encoder,
    mean_loss,
    moved_outputs,
    pretrain,
    read_both_ways,
    share_in_order,
)
from exercises.neighbors_11 import NeighborCounts
from exercises.snippet_11 import copied_share, mend, padded_rows, run_snippet, story_texts
from minillm.batch import IGNORE_INDEX, Batch
from minillm.objectives.masked import Masker
from minillm.text.world import TinyWorld
from minillm.tokenizers import WordPieceTokenizer

SIZES = {"context_length": 32, "d_model": 8, "n_layers": 1, "n_heads": 2}


@pytest.fixture(scope="module")
def stories():
    return HiddenStories(tell_stories(20, 3))


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer.train(["she hid the red hat in a red jar . he saw it ."] * 3, 37)


@pytest.fixture
def encoder(tokenizer):
    return make_encoder(tokenizer.vocab_size, seed=0, **SIZES)


def generator():
    return torch.Generator().manual_seed(0)


def test_every_scored_place_has_one_fate(tokenizer):
    ids = torch.randint(5, tokenizer.vocab_size, (7, 29), generator=generator())
    batch = Masker(tokenizer, rate=0.5)(ids, generator())
    found = fates(ids, batch, tokenizer.mask_id)
    together = torch.stack([*found.values()]).sum(0)
    assert torch.equal(together == 1, batch.targets != IGNORE_INDEX)
    assert int(together.max()) == 1
    assert torch.equal(found["kept"], (batch.targets == batch.inputs))
    names = fate_names(ids[:1], Batch(inputs=batch.inputs[:1], targets=batch.targets[:1]), 4)
    assert [name != "" for name in names] == (batch.targets[0] >= 0).tolist()


def test_losses_by_fate_are_the_models_own(encoder, tokenizer):
    ids = torch.randint(5, tokenizer.vocab_size, (7, 29), generator=generator())
    batch = Masker(tokenizer, rate=0.5)(ids, generator())
    log_probs = encoder(batch.inputs).log_softmax(-1)
    losses = fate_losses(encoder, ids, batch, tokenizer.mask_id)
    total, n = 0.0, 0
    for name, where in fates(ids, batch, tokenizer.mask_id).items():
        rows, places = where.nonzero(as_tuple=True)
        expected = -log_probs[rows, places, ids[rows, places]]
        assert losses[name] == pytest.approx(expected.mean().item(), rel=1e-4)
        total, n = total + expected.sum().item(), n + len(rows)
    assert mean_loss(encoder, batch) == pytest.approx(total / n, rel=1e-4)
    expected = log_probs.gather(-1, batch.inputs[..., None])[..., 0].exp()
    torch.testing.assert_close(belief(encoder, batch.inputs), expected)


def test_the_first_loss_is_the_one_that_the_notebook_derives():
    model = make_encoder(2003, seed=0, context_length=16, d_model=64, n_layers=1, n_heads=2)
    ids = torch.randint(5, 2003, (200, 16), generator=generator())
    loss = mean_loss(model, Batch(inputs=torch.full_like(ids, 4), targets=ids))
    assert loss == pytest.approx(math.log(2003) + 64 * 0.08**2 / 2, abs=0.1)


def test_everyone_reads_everyone_but_padding(encoder):
    row = torch.arange(5, 12)[None]
    assert moved_outputs(encoder, row, 6) == list(range(7))
    padding = torch.arange(7)[None] >= 6
    assert moved_outputs(encoder, row, 6, is_padding=padding) == [6]


def test_neighbor_counts_are_probabilities_and_those_of_a_slow_count():
    ids = torch.randint(0, 5, (300,), generator=generator()).tolist()
    counts = NeighborCounts(ids, 5)
    for left, right in product([None, 0, 3], [None, 1, 3]):
        total = sum(math.exp(counts.log_prob(token, left, right)) for token in range(5))
        assert total == pytest.approx(1.0)
    frequency = [(ids.count(x) + 1) / 305 for x in range(5)]
    pairs = list(pairwise(ids))

    def near(x, known, place):
        c = sum(p[place] == known and p[1 - place] == x for p in pairs)
        n = sum(p[place] == known for p in pairs)
        return (c + counts.B * frequency[x]) / (n + counts.B)

    guess = [near(x, 2, 0) * near(x, 4, 1) / frequency[x] for x in range(5)]
    between = [ids[i + 1] for i in range(298) if ids[i] == 2 and ids[i + 2] == 4]
    expected = (between.count(3) + counts.A * guess[3] / sum(guess)) / (len(between) + counts.A)
    assert counts.log_prob(3, 2, 4) == pytest.approx(math.log(expected))
    expected = near(1, 2, 0)
    assert counts.log_prob(1, 2, None) == pytest.approx(math.log(expected))


def test_neighbor_counts_read_what_the_model_reads():
    """A hidden neighbor says nothing, and beyond a row there is nothing to read."""
    counts = NeighborCounts(np.array([0, 1, 2, 3] * 50), 5)
    inputs = torch.tensor([[0, 4, 2, 4, 4]])
    batch = Batch(inputs=inputs, targets=torch.tensor([[-100, 1, -100, 3, 0]]))
    nats, alone = counts.losses(batch, batch.targets >= 0, 4)
    expected = [
        counts.log_prob(1, 0, 2),
        counts.log_prob(3, 2, None),
        counts.log_prob(0, None, None),
    ]
    assert nats == pytest.approx(-sum(expected) / 3)
    assert alone == pytest.approx(-sum(math.log(counts.frequency[x]) for x in (1, 3, 0)) / 3)


def test_stories_are_hidden_and_priced(stories):
    masking = stories.masking(rate=0.3, mask_share=1.0, random_share=0.0)
    batch = stories.batch(stories.stories.held, generator(), masking)
    chosen = batch.targets != IGNORE_INDEX
    assert torch.equal(batch.inputs == stories.mask_id, chosen)
    assert not bool((batch.targets == stories.end_id).any())
    assert torch.equal(batch.is_padding, batch.inputs == stories.pad_id)
    exact, floors = TinyWorld(seed=0).exact, stories.floor_bits(batch)
    for row, document in enumerate(stories.stories.held_documents):
        hidden = [i for i, word in enumerate(document.words) if chosen[row, i + 1]]
        prices = exact.hidden_words(document.words, hidden)
        expected = -sum(
            math.log2(p[document.words[i]]) for p, i in zip(prices, hidden, strict=True)
        )
        assert floors[row] == pytest.approx(expected)
        assert torch.equal(stories.ids(document.words)[0], torch.tensor(stories.stories.held[row]))


def test_odds_are_between_the_two_words_at_the_place(stories):
    model = make_encoder(stories.vocab_size, seed=0, **SIZES | {"context_length": 224})
    words = stories.stories.held_documents[0].words
    a, b = words[0], words[1]
    exactly, ours = stories.log_odds(model, words, 1, (b, b))
    assert exactly == ours == 0.0
    row = stories.ids(words)
    row[0, 2] = stories.mask_id
    with pytest.raises(KeyError):  # the language cannot say the first word there
        stories.log_odds(model, words, 1, (a, b))


def test_static_masks_ask_the_same_questions(encoder, tokenizer):
    masker = Masker(tokenizer, rate=0.3)
    rows = torch.randint(5, tokenizer.vocab_size, (5, 32), generator=generator())
    judged = [masker(rows, generator())]
    found = read_both_ways(
        lambda: make_encoder(tokenizer.vocab_size, seed=0, **SIZES),
        rows, masker, judged, n_epochs=60, seed=0,
    )  # fmt: skip
    static, fresh = (found[name][0] for name in ("the same masks", "fresh masks"))
    assert static[-1] < fresh[-1]
    assert [len(found["fresh masks"][i]) for i in (0, 1)] == [60, 7]
    losses = pretrain(encoder, rows.flatten().numpy(), masker, n_steps=41, seed=0)
    assert len(losses) == 41


def test_shares_and_orders():
    assert is_share(800, 1000, 0.8)
    assert not is_share(900, 1000, 0.8)
    left, right = torch.randn(53, generator=generator()), torch.randn(31, generator=generator())
    slow = sum(float(a > b) for a in left for b in right) / (53 * 31)
    assert share_in_order(left, right) == pytest.approx(slow)


def test_costs_are_of_three_kinds(encoder, tokenizer):
    rows = torch.randint(5, tokenizer.vocab_size, (3, 32), generator=generator())
    costs = answer_costs(encoder, rows, Masker(tokenizer)(rows, generator()))
    assert len(costs) == 3
    assert min(costs.values()) > 0


def test_a_snippet_is_mended_step_by_step(tmp_path):
    code = "x = lost\nprint(x + gone)"
    errors, mended = mend(code, [{"lost": "1"}, {"gone": "2"}], tmp_path, {})
    assert errors[0] == "NameError: name 'lost' is not defined\n    at: x = lost"
    assert errors[1].startswith("NameError: name 'gone'")
    assert run_snippet(mended, tmp_path, {})[:2] == ("", "3\n")
    with pytest.raises(ValueError, match="must be what stops the program"):
        mend("x = 1", [{"x": "y"}], tmp_path, {})


def test_texts_fit_into_rows(stories, tokenizer, encoder):
    texts = story_texts(stories.stories, 7)
    assert all(sum(text.count(stop) for stop in ".!?") == 2 for text in texts)
    rows = padded_rows(tokenizer, [*texts, "red"], length=11)
    assert rows.shape == (8, 11)
    assert rows[-1].tolist() == [2, *tokenizer.encode("red"), 3] + [0] * (
        9 - len(tokenizer.encode("red"))
    )
    share = copied_share(encoder, rows, tokenizer)
    guesses = encoder(rows, is_padding=rows == 0).argmax(-1)
    pairs = [
        (g, t)
        for g, t in zip(guesses.flatten().tolist(), rows.flatten().tolist(), strict=True)
        if t >= 5
    ]
    assert share == pytest.approx(sum(g == t for g, t in pairs) / len(pairs))
