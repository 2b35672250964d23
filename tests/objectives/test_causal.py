import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minillm.batch import IGNORE_INDEX
from minillm.objectives.causal import causal_batch

BOS, EOS = 11, 12


@given(st.integers(1, 5), st.integers(1, 7), st.integers(0, 2**32), st.booleans())
def test_each_position_predicts_the_next_token(n_rows, n_positions, seed, has_bos):
    generator = torch.Generator().manual_seed(seed)
    token_ids = torch.randint(13, (n_rows, n_positions + 1), generator=generator)
    batch = causal_batch(token_ids, bos_id=BOS if has_bos else None)
    for row in range(n_rows):
        for t in range(n_positions):
            following = int(token_ids[row, t + 1])
            ignored = has_bos and following == BOS
            assert batch.inputs[row, t] == token_ids[row, t]
            assert batch.targets[row, t] == (IGNORE_INDEX if ignored else following)
    assert batch.inputs.shape == batch.targets.shape == (n_rows, n_positions)


def test_the_end_of_a_document_is_scored_and_the_next_beginning_is_not():
    batch = causal_batch(torch.tensor([[BOS, 1, EOS, BOS, 2, EOS]]), bos_id=BOS)
    assert batch.inputs.tolist() == [[BOS, 1, EOS, BOS, 2]]
    assert batch.targets.tolist() == [[1, EOS, IGNORE_INDEX, 2, EOS]]
    assert batch.n_scored() == {"tokens": 4}


def test_the_losses_add_up_to_the_code_length():
    """By the chain rule: under a table of pair counts, Σ −log p(next | last) is −log p(text)."""
    transitions = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.0625, 0.9375, 0.0]])
    text = [0, 1, 1, 0, 2, 1]
    batch = causal_batch(torch.tensor([text]))
    nats = -transitions[batch.inputs, batch.targets].log().sum().item()
    assert nats == pytest.approx(-math.log(0.25 * 0.75 * 0.125 * 0.25 * 0.9375))


@pytest.mark.parametrize("bos_id", [None, BOS])
def test_the_window_is_left_alone_and_nothing_is_drawn(bos_id):
    token_ids = torch.tensor([[BOS, 1, BOS]])
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    batch = causal_batch(token_ids, generator, bos_id=bos_id)
    batch.targets.fill_(IGNORE_INDEX)  # a caller may hide more of them
    assert batch.inputs.tolist() == [[BOS, 1]]
    assert token_ids.tolist() == [[BOS, 1, BOS]]
    assert torch.equal(generator.get_state(), state)


def test_a_stream_of_bos_scores_nothing():
    assert causal_batch(torch.full((2, 4), BOS), bos_id=BOS).n_scored() == {"tokens": 0}


@pytest.mark.parametrize("shape", [(3,), (2, 1), (2, 0), (2, 3, 5)])
def test_windows_without_a_prediction_are_refused(shape):
    with pytest.raises(ValueError, match=r"must be \(B, T \+ 1\) with T >= 1, got \("):
        causal_batch(torch.zeros(shape, dtype=torch.int64))
