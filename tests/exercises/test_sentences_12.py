"""What notebook 12 draws, who judges it, and how well anyone could."""

import math
from itertools import permutations

import pytest
import torch

from exercises.orders_12 import (
    best_possible_order,
    draw_windows,
    found_order,
    order_probabilities,
    shuffled_batch,
    shuffled_batches,
)
from exercises.pairs_12 import (
    TASKS,
    best_accuracy,
    betraying_pairs,
    draw_pairs,
    exact_probabilities,
    same_document_batch,
    tell_world,
    training_batches,
)
from exercises.readers_12 import (
    BagReader,
    accuracy,
    label_log_odds,
    make_encoder,
    split_rows,
    train_reader,
)
from minillm.objectives.sentence_reconstruction import exact_match
from minillm.text.world import TinyWorld
from minillm.text.world.floors import sentence_order


@pytest.fixture(scope="module")
def world():
    return tell_world(300, 60)


def numbered(n_documents, n_sentences):
    """Sentence s of document d is [100 d + s + 10]."""
    return [[[100 * d + s + 10] for s in range(n_sentences)] for d in range(n_documents)]


@pytest.mark.parametrize("task", TASKS)
def test_held_out_pairs_are_what_their_label_says(task):
    documents = numbered(23, 5)
    pairs = draw_pairs(documents, task, n_pairs=700)
    assert sum(pairs.labels) == 350
    for (first,), (second,), label in zip(*pairs, strict=True):
        if not label:
            assert second == first + 1
        elif task == "order":
            assert first == second + 1
        else:
            assert ((first - 10) // 100 == (second - 10) // 100) == (task != "next")
            assert second not in (first, first + 1)


def test_negatives_of_the_same_document_are_neither_the_sentence_nor_the_next(world):
    documents = numbered(211, 4)
    generator = torch.Generator().manual_seed(0)
    batch = same_document_batch(documents, generator, frame=world.frame)
    assert batch.labels is not None
    first, second = batch.inputs[:, 1], batch.inputs[:, 3]
    assert torch.equal(first // 100, second // 100)
    assert torch.equal(second == first + 1, batch.labels == 0)
    assert not (first == second).any()
    assert abs(batch.labels.double().mean() - 0.5) < 5 * 0.5 / math.sqrt(211)
    # two sentences leave nothing for a negative
    both = same_document_batch(numbered(7, 2) + numbered(1, 3), generator, frame=world.frame)
    assert both.inputs.shape[0] == 1


def test_a_long_document_comes_as_often_as_it_has_pairs(world):
    corpus = world._replace(train=[*numbered(5, 2), *numbered(1, 41)])
    (batch,) = training_batches(corpus, TASKS["order"], n_steps=1, batch_size=10, seed=0)
    assert batch.inputs.shape[0] == 10  # five short ones once, the long one 40 / 8 times
    sentences = batch.inputs[:, 1] % 100 - 10
    assert (sentences > 1).sum() >= 3


def test_best_accuracy_is_that_of_the_world(world):
    pairs = draw_pairs(world.held, "order", n_pairs=600)
    mine = best_accuracy(world, pairs, "order")
    documents = [d.sentences_of_words for d in TinyWorld(seed=0).documents(60, split="validation")]
    theirs = sentence_order(TinyWorld(seed=0).exact, documents, n_pairs=600)
    error = math.hypot(mine.standard_error, theirs.standard_error)
    assert abs(mine.value - theirs.value) < 5 * error
    for task in ("next", "order"):
        pairs = draw_pairs(world.held, task, n_pairs=200)
        p = exact_probabilities(world, pairs, task)
        hits = [(x < 0.5) == (y == 1) for x, y in zip(p, pairs.labels, strict=True) if x != 0.5]
        assert sum(hits) > 0.8 * len(hits)


def test_a_bag_of_words_sums_votes_and_sees_no_order(world):
    reader = BagReader(len(world.vocabulary), rank=3, generator=torch.Generator())
    torch.nn.init.normal_(reader.votes.weight)
    pairs = draw_pairs(world.held, "next", n_pairs=13)
    scores = reader.scores(pairs.batch(world.frame))
    u, v = reader.votes.weight[:, 0].chunk(2)
    assert reader.meetings is not None
    a, b = reader.meetings.weight.chunk(2)
    for first, second, score in zip(pairs.firsts, pairs.seconds, scores, strict=True):
        met = math.fsum((a[i] @ b[j]).item() for i in first for j in second)
        by_hand = math.fsum(u[i].item() for i in first) + math.fsum(v[j].item() for j in second)
        assert score.item() == pytest.approx(by_hand + met, abs=1e-4)
    mixed = pairs._replace(firsts=[list(first)[::-1] for first in pairs.firsts])
    again = reader.scores(mixed.batch(world.frame))
    assert torch.allclose(scores, again, atol=1e-5)
    odds = label_log_odds(reader, pairs.batch(world.frame), n_rows=5)
    assert torch.allclose(odds, scores, atol=1e-5)


def test_negatives_that_betray_themselves_are_found_by_the_cheapest_readers(world):
    found = {}
    for way in ("", "first"):
        train, test = (
            betraying_pairs(side, way, frame=world.frame) for side in (world.train, world.held)
        )
        bag = BagReader(len(world.vocabulary), rank=0, generator=torch.Generator())
        batches = 2 * split_rows(train, 64)
        train_reader(bag, batches, rate=0.03, n_steps=len(batches), weight_decay=0.01)
        found[way] = accuracy(bag, test)
    assert found["first"] > 0.9 > 0.7 > found[""]
    cut = betraying_pairs(world.held, "cut", frame=world.frame)
    assert cut.segment_ids is not None
    second = ((cut.segment_ids == 1) & (cut.inputs > 2)).sum(1)
    assert second[cut.labels == 1].max() == 8


def test_an_encoder_starts_without_an_opinion_and_can_learn(world):
    encoder = make_encoder(world, seed=0, d_model=16, n_layers=1, n_heads=2)
    batch = draw_pairs(world.held, "order", n_pairs=16).batch(world.frame)
    losses = train_reader(encoder, [batch] * 60, rate=0.01, n_steps=60, weight_decay=0.0)
    assert losses[0] == pytest.approx(math.log(2), abs=0.2)
    assert losses[-1] < 0.1
    assert accuracy(encoder, batch) == 1.0


def test_probabilities_of_orders_are_those_of_all_permutations(world):
    windows = TinyWorld(seed=0).exact.windows
    document = world.held[0]
    shown = [world.words(document[place]) for place in (2, 0, 1)]
    found = order_probabilities(windows, shown)
    weights = {order: windows.weight([shown[n] for n in order]) for order in permutations(range(3))}
    total = math.fsum(weights.values())
    for order, weight in weights.items():
        assert found.get(order, 0.0) == pytest.approx(weight / total, abs=1e-12)
    assert found[1, 2, 0] > 0


def test_the_likeliest_order_is_right_as_often_as_it_says(world):
    generator = torch.Generator().manual_seed(0)
    texts = draw_windows(world.held, generator, k=3)
    batch = shuffled_batch(texts, generator, frame=world.frame)
    assert batch.labels is not None
    sure, guesses = best_possible_order(TinyWorld(seed=0).exact.windows, world, batch)
    mean = sum(sure) / len(sure)
    assert abs(exact_match(guesses, batch.labels) - mean) < 5 * math.sqrt(0.25 / len(sure))
    assert mean > 0.6
    encoder = make_encoder(
        world, seed=0, has_next_sentence_head=False, max_sentences=5, n_segments=5,
        context_length=96, d_model=16, n_layers=1, n_heads=2,
    )  # fmt: skip
    exact, tau = found_order(encoder, batch)
    assert 0 <= exact < mean
    assert -0.6 < tau < 0.6
    batches = shuffled_batches(world, n_steps=20, batch_size=3, seed=0)
    assert {b.n_scored()["labels"] // b.inputs.shape[0] for b in batches} == {2, 3, 4, 5}
