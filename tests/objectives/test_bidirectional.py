import pytest
import torch

from minillm.batch import IGNORE_INDEX, Batch
from minillm.objectives.bidirectional import backward_batch, bidirectional_batch, reversed_order

BOS, EOS, PAD = 0, 1, 29


def padded(*texts):
    """Batch whole texts of unequal length, padded on the right as an evaluation does."""
    n = max(map(len, texts)) - 1
    inputs = torch.full((len(texts), n), PAD)
    targets = torch.full((len(texts), n), IGNORE_INDEX)
    for row, text in enumerate(texts):
        inputs[row, : len(text) - 1] = torch.tensor(text[:-1])
        targets[row, : len(text) - 1] = torch.tensor(text[1:])
    return Batch(inputs=inputs, targets=targets, is_padding=inputs == PAD)


def read_and_predicted(batch, row):
    """Return what a model reads in one row, and what it is scored on: plain lists."""
    is_padding = batch.is_padding
    kept = slice(None) if is_padding is None else ~is_padding[row]
    return batch.inputs[row][kept].tolist(), batch.targets[row][kept].tolist()


def test_the_backward_model_reads_each_text_from_its_end():
    texts = [[BOS, 5, 6, 7, EOS], [BOS, EOS], [BOS, 8, 9, EOS], [BOS, 2, 3, 4, 2, 3, EOS]]
    turned = backward_batch(padded(*texts))
    for row, text in enumerate(texts):
        back = text[::-1]
        assert read_and_predicted(turned, row) == (back[:-1], back[1:])


def test_padding_stays_at_the_end():
    batch = padded([BOS, 5, EOS], [BOS, 5, 6, 7, EOS])
    turned = backward_batch(batch)
    assert torch.equal(turned.is_padding, batch.is_padding)
    assert turned.inputs[0].tolist() == [EOS, 5, PAD, PAD]
    assert turned.targets[0].tolist() == [5, BOS, IGNORE_INDEX, IGNORE_INDEX]


def test_to_turn_twice_is_to_change_nothing():
    generator = torch.Generator().manual_seed(0)
    is_padding = torch.rand(5, 11, generator=generator) < 0.3
    is_padding[0], is_padding[1] = False, True
    x = torch.randint(31, (5, 11), generator=generator)
    order = reversed_order(is_padding)
    once = x.gather(1, order)
    assert torch.equal(once.gather(1, order), x)
    for before, after, hidden in zip(x, once, is_padding, strict=True):
        assert after[~hidden].tolist() == before[~hidden].tolist()[::-1]
        assert after[hidden].tolist() == before[hidden].tolist()


def test_both_directions_are_scored_on_as_many_tokens_of_a_packed_stream():
    stream = torch.tensor([[7, EOS, BOS, 5, 6, EOS, BOS, 8], [5, 6, 7, 8, EOS, BOS, EOS, BOS]])
    batch = bidirectional_batch(stream, bos_id=BOS)
    turned = backward_batch(batch)
    assert batch.n_scored() == turned.n_scored()
    # Nobody is asked for the start of a document after the end of another, from either side.
    assert read_and_predicted(batch, 0)[1] == [EOS, -100, 5, 6, EOS, -100, 8]
    assert read_and_predicted(turned, 0) == (
        [8, BOS, EOS, 6, 5, BOS, EOS],
        [BOS, -100, 6, 5, BOS, -100, 7],
    )
    # The last bos is not scored, so no one knows it: the backward model starts with the eos.
    assert read_and_predicted(turned, 1) == ([EOS, BOS, EOS, 8, 7, 6], [BOS, -100, 8, 7, 6, 5])


def test_documents_are_turned_with_their_tokens():
    stream = torch.tensor([[7, EOS, BOS, 5, 6]])
    batch = bidirectional_batch(stream, bos_id=BOS)
    documents = torch.tensor([[3, 3, 4, 4]])
    batch = Batch(inputs=batch.inputs, targets=batch.targets, document_ids=documents)
    turned = backward_batch(batch)
    # The step from eos to bos belongs to document 3, which ends there: it has no right neighbor.
    assert turned.is_padding.tolist() == [[False, True, False, False]]
    assert read_and_predicted(turned, 0) == ([6, 5, EOS], [5, BOS, 7])
    assert turned.document_ids.tolist() == [[4, 3, 4, 3]]


def test_an_unscored_step_is_read_all_the_same():
    batch = padded([BOS, 5, 6, 7, EOS])
    batch.targets[0, :2] = IGNORE_INDEX
    turned = backward_batch(batch)
    assert turned.inputs.tolist() == [[EOS, 7, 6, 5]]
    assert turned.targets.tolist() == [[7, 6, IGNORE_INDEX, IGNORE_INDEX]]


@pytest.mark.parametrize("shape", [(7,), (2, 1)])
def test_a_window_without_a_step_is_refused(shape):
    with pytest.raises(ValueError, match="T >= 1"):
        bidirectional_batch(torch.zeros(shape, dtype=torch.int64))


def test_a_batch_without_targets_is_refused():
    with pytest.raises(ValueError, match=r"needs batch\.targets"):
        backward_batch(Batch(inputs=torch.zeros(1, 2, dtype=torch.int64)))
