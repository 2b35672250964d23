import math

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from exercises.bidirectional_07 import (
    descend,
    direction_influences,
    guess_hidden_words,
    label_words,
    pad_texts,
    sentence_edge_bits,
    tell_stories,
    text_bits,
    train_probe,
)
from exercises.figures_07 import plot_mixtures, plot_shares, plot_two_sides
from minillm.config import BidirectionalConfig
from minillm.models.bidirectional import Bidirectional


def test_texts_are_padded_on_the_right_and_shifted():
    batch = pad_texts([[0, 5, 1], [0, 7, 8, 9, 1]], pad_id=3)
    assert batch.inputs.tolist() == [[0, 5, 3, 3], [0, 7, 8, 9]]
    assert batch.targets is not None
    assert batch.targets.tolist() == [[5, 1, -100, -100], [7, 8, 9, 1]]
    assert batch.is_padding is not None
    assert batch.is_padding.tolist() == [[False, False, True, True], [False] * 4]


def test_influence_stands_on_its_side_of_the_diagonal():
    model = Bidirectional(BidirectionalConfig.lstm(vocab_size=11, d_model=5))
    forward, backward = direction_influences(model, [0, 4, 5, 4, 7, 1])
    assert torch.equal(forward > 0, torch.ones(6, 6).tril(-1) > 0)
    assert torch.equal(backward > 0, torch.ones(6, 6).triu(1) > 0)


def test_a_probe_finds_the_layer_that_knows():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(5, (700,), generator=generator)
    noise = torch.randn(700, 5, generator=generator)
    knowing = torch.nn.functional.one_hot(labels, 5).float()
    is_test = torch.arange(700) >= 400
    probe = train_probe(torch.stack([noise, knowing]), labels, is_test)
    assert probe.accuracy > 0.99
    assert probe.weights[1] > 0.6
    blind = train_probe(torch.stack([noise, noise]), labels, is_test)
    assert blind.accuracy < 0.4  # 300 guesses of one in five: 5 σ are 0.12


def boxes(axes: Axes, name: str) -> list[float]:
    """Return one measure ("height", "width" or "x") of each bar, in the order drawn."""
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert len(bars) == len(axes.patches) > 0
    return [float(getattr(bar, f"get_{name}")()) for bar in bars]


def test_bars_stand_where_the_numbers_say():
    figure = plot_two_sides(["a", "b\n"], [1.0, 2.0], [3.0, 4.0])
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b⏎"]
    assert boxes(axes, "height") == [1, 2, -3, -4]
    with pytest.raises(ValueError, match="equally many"):
        plot_two_sides(["a"], [1.0], [])
    shares = plot_shares({"a": 0.25, "b": 0.5}, limits={"b": 0.75}, xlabel="x", title="t").axes[0]
    assert boxes(shares, "width") == [0.25, 0.5]
    assert [np.asarray(line.get_xdata()).tolist() for line in shares.get_lines()] == [[0.75, 0.75]]
    mixtures = plot_mixtures({"a": [0.25, 0.75], "b": [0.5, 0.5]}, ["low", "high"]).axes[0]
    assert boxes(mixtures, "x") == [0, 0, 0.25, 0.5]


def test_stories_are_labeled_word_by_word_and_guessed():
    stories = tell_stories(30, 7)
    assert [len(text) for text in stories.held] == [
        1 + len(d.words) for d in stories.held_documents
    ]
    labels = label_words(stories.held_documents)
    n_words = sum(len(text) - 2 for text in stories.held)  # neither what opens nor the eos
    assert {len(values) for values in labels.values()} == {n_words}
    model = Bidirectional(BidirectionalConfig.lstm(vocab_size=stories.vocab_size, d_model=5))
    shares = guess_hidden_words(model, stories, n_texts=7)
    assert shares["best both"] >= shares["best left"] > shares["left"]


def test_training_lowers_what_both_directions_cost():
    texts = [[0, 3, 4, 5, 1], [0, 6, 1]]
    batch, seen = pad_texts(texts), []
    model = Bidirectional(BidirectionalConfig.lstm(vocab_size=7, d_model=11))
    before = text_bits(model, [pad_texts([text]) for text in texts])
    losses = descend(model, [batch] * 60, n_steps=60, rate=0.03, n_warmup=5, look=seen.append)
    after = text_bits(model, [batch])
    assert seen == list(range(1, 61))
    assert len(losses) == 60
    assert before.shape == after.shape == (2, 2)
    assert (after < before / 2).all()


def test_edges_of_sentences_are_found_beside_the_full_stop():
    stories = tell_stories(30, 3)
    model = Bidirectional(BidirectionalConfig.lstm(vocab_size=stories.vocab_size, d_model=5))
    model.requires_grad_(False)
    found = sentence_edge_bits(model, [pad_texts(stories.held)], stories)
    forward, backward = [], []
    for text in stories.held:
        left, right = (side[0] for side in model.direction_log_probs(pad_texts([text])))
        words = [stories.vocabulary[token - 1] for token in text[1:]]
        for place, word in enumerate(words[:-2]):
            if word == "." and words[place + 1] != "<eos>":
                forward.append(-left[place + 1].item() / math.log(2))
                backward.append(-right[place + 1].item() / math.log(2))
    expected = sum(forward) / len(forward), sum(backward) / len(backward)
    assert found["first word"] == pytest.approx(expected, rel=1e-4)
