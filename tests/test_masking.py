import pytest
import torch

from minillm.masking import (
    causal_mask,
    combine_masks,
    document_mask,
    padding_mask,
    prefix_mask,
    sliding_window_mask,
)


@pytest.mark.parametrize(
    ("n_positions", "n_past"), [(0, 0), (0, 3), (1, 0), (1, 4), (5, 0), (3, 4)]
)
def test_causal_mask_is_the_definition_cell_by_cell(n_positions, n_past):
    mask = causal_mask(n_positions, n_past=n_past)
    assert mask.dtype == torch.bool
    assert mask.shape == (n_positions, n_past + n_positions)
    for t in range(n_positions):
        for s in range(n_past + n_positions):
            assert mask[t, s] == (s <= n_past + t), (t, s)


def test_cached_steps_see_the_rows_of_the_whole_mask():
    whole = causal_mask(7)
    assert torch.equal(causal_mask(3, n_past=4), whole[4:])
    assert torch.equal(causal_mask(2, n_past=4), whole[4:6, :6])


def test_padding_is_hidden_as_a_key_and_not_as_a_query():
    mask = padding_mask(torch.tensor([[False, False, True], [True, False, False]]))
    assert mask.shape == (2, 1, 1, 3)
    assert mask[:, 0, 0].tolist() == [[True, True, False], [False, True, True]]


def test_documents_read_only_themselves():
    ids = torch.tensor([[4, 4, 9, 9, 9], [1, 2, 2, 1, 3]])  # an id may come back: same document
    mask = document_mask(ids)
    assert mask.shape == (2, 1, 5, 5)
    for b in range(2):
        for t in range(5):
            for s in range(5):
                assert mask[b, 0, t, s] == (ids[b, t] == ids[b, s])


def test_combined_masks_allow_what_all_allow():
    ids = torch.tensor([[0, 0, 1, 1, 1]])
    is_padding = torch.tensor([[False, False, False, False, True]])
    both = combine_masks(causal_mask(5), None, document_mask(ids), padding_mask(is_padding))
    assert both.int()[0, 0].tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 1, 1, 0],
    ]
    assert combine_masks(None, None) is None


@pytest.mark.parametrize("window", [1, 2, 3, 50])
@pytest.mark.parametrize(("n_positions", "n_past"), [(0, 3), (1, 4), (5, 0), (3, 4)])
def test_sliding_window_is_the_definition_cell_by_cell(n_positions, n_past, window):
    mask = sliding_window_mask(n_positions, window, n_past=n_past)
    assert mask.shape == (n_positions, n_past + n_positions)
    for t in range(n_positions):
        for s in range(n_past + n_positions):
            assert mask[t, s] == (abs(n_past + t - s) < window), (t, s)


def test_prefix_mask_is_the_definition_cell_by_cell():
    lengths = [0, 1, 3, 5]
    mask = prefix_mask(torch.tensor(lengths), 5)
    assert mask.shape == (4, 1, 5, 5)
    for b, length in enumerate(lengths):
        for t in range(5):
            for s in range(5):
                assert mask[b, 0, t, s] == (s < length or s <= t), (b, t, s)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([2, 6], "prefix length 6 is not in 0 … 5"),
        ([-1, 2], "prefix length -1 is not"),
        ([[1]], r"\(B,\) integer tensor, got torch.int64 of shape \(1, 1\)"),
        ([0.5], "integer tensor, got torch.float32"),
    ],
)
def test_prefix_lengths_must_fit(lengths, message):
    with pytest.raises(ValueError, match=message):
        prefix_mask(torch.tensor(lengths), 5)


def test_a_window_must_be_positive():
    with pytest.raises(ValueError, match=r"window must be positive .* got 0"):
        sliding_window_mask(3, 0)
    with pytest.raises(ValueError, match="got -1 and 0"):
        sliding_window_mask(-1, 2)


def test_counts_must_not_be_negative():
    with pytest.raises(ValueError, match="got -1 and 0"):
        causal_mask(-1)
    with pytest.raises(ValueError, match="got 2 and -3"):
        causal_mask(2, n_past=-3)


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3), torch.zeros(3, dtype=torch.bool)])
def test_is_padding_must_be_a_boolean_matrix(wrong):
    with pytest.raises(ValueError, match="is_padding must be a"):
        padding_mask(wrong)


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3), torch.zeros(3, dtype=torch.long)])
def test_document_ids_must_be_an_integer_matrix(wrong):
    with pytest.raises(ValueError, match="document_ids must be a"):
        document_mask(wrong)


def test_additive_masks_are_not_combined():
    with pytest.raises(ValueError, match="must be boolean"):
        combine_masks(causal_mask(3), torch.zeros(3, 3))
