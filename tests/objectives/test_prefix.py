"""Prefix language modeling: both directions inside the prefix, one after it, no leak."""

import pytest
import torch

from minillm.batch import Batch
from minillm.config import DecoderConfig, RecurrentConfig
from minillm.errors import ConfigError
from minillm.generation import generate
from minillm.models.decoder import Decoder
from minillm.models.recurrent import Recurrent
from minillm.objectives.prefix import prefix_batch

V, B, T, P = 31, 3, 11, 5


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=["gpt", "llama"])
def model(request):
    family = {"gpt": DecoderConfig.gpt, "llama": DecoderConfig.llama}[request.param]
    config = family(vocab_size=V, context_length=T, d_model=20, n_layers=2, n_heads=2)
    model = Decoder(config, generator=seeded(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=seeded(1)) * 0.3)
    return model.eval()


@pytest.fixture
def window():
    return torch.randint(2, V, (B, T + 1), generator=seeded(2))


def test_only_what_follows_the_prefix_is_scored(window):
    lengths = torch.tensor([1, 5, 11])
    batch = prefix_batch(window, seeded(0), prefix_lengths=lengths)
    assert torch.equal(batch.inputs, window[:, :-1])
    assert torch.equal(batch.prefix_lengths, lengths)
    for row, length in enumerate(lengths.tolist()):
        expected = [-100] * (length - 1) + window[row, length:].tolist()
        assert batch.targets[row].tolist() == expected


def test_prefixes_are_drawn_uniformly(window):
    lengths = prefix_batch(window[:1].expand(11_000, -1), seeded(0)).prefix_lengths
    counts = lengths.bincount(minlength=T + 1)[1:]
    deviation = (11_000 / T * (1 - 1 / T)) ** 0.5
    assert len(counts) == T
    assert ((counts - 1000).abs() < 5 * deviation).all()


def test_the_beginning_of_a_document_is_not_scored(window):
    window[:, 7] = 1
    batch = prefix_batch(window, seeded(0), bos_id=1, prefix_lengths=torch.tensor([1, 5, 11]))
    assert not (batch.targets == 1).any()


def test_loss_equals_the_two_masks_built_by_hand(model, window):
    """The first token of the rest is predicted after the prefix was read both ways."""
    batch = prefix_batch(window, seeded(0), prefix_lengths=torch.tensor([P] * B))
    log_probs = model.log_probs(batch)
    assert (log_probs[:, : P - 1] == 0).all()
    torch.testing.assert_close(-log_probs.sum(), model.loss_sums(batch)["tokens"])
    before = log_probs[:, P - 1 :]
    for t in range(1, T):  # what a target sees: the whole prefix, then its own past
        changed = batch.inputs.clone()
        changed[:, t] = (changed[:, t] + 1) % V
        after = model.log_probs(
            Batch(inputs=changed, targets=batch.targets, prefix_lengths=batch.prefix_lengths)
        )[:, P - 1 :]
        first_seen = max(t - (P - 1), 0)
        torch.testing.assert_close(after[:, :first_seen], before[:, :first_seen])
        assert ((after - before)[:, first_seen:].abs() > 1e-6).all()


def test_inside_the_prefix_both_directions_are_read(model, window):
    inputs = window[:, :-1]
    lengths = torch.tensor([P] * B)
    hidden = model.hidden(inputs, prefix_lengths=lengths)
    changed = inputs.clone()
    changed[:, P - 1] = (changed[:, P - 1] + 1) % V
    others = (model.hidden(changed, prefix_lengths=lengths) - hidden)[:, : P - 1]
    assert (others.abs().amax(dim=-1) > 1e-4).all()
    weights = model.attention_weights(inputs, prefix_lengths=lengths)
    assert (weights[..., :P, :P] > 0).all()
    assert (weights[..., :P, P:] == 0).all()


@pytest.mark.parametrize("chunks", [[5, 1, 1, 1, 1, 1, 1], [5, 4, 2], [11], [7, 4]])
def test_cached_steps_equal_the_full_forward(model, window, chunks):
    model, inputs = model.double(), window[:, :-1]
    lengths = torch.tensor([P] * B)
    logits = model.unembedding(model.hidden(inputs, prefix_lengths=lengths))
    expected = logits.float().log_softmax(dim=-1)
    reader, state, stop = model.given_prefix(inputs[:, :P]), None, 0
    for n_new in chunks:
        new, stop = inputs[:, stop : stop + n_new], stop + n_new
        log_probs, state = reader.next_log_probs(new, state)
        torch.testing.assert_close(log_probs, expected[:, stop - 1], atol=1e-5, rtol=1e-5)


def test_generation_with_and_without_cache_agrees(model, window):
    prefix = window[:, :P]
    runs = [
        generate(
            model.given_prefix(prefix), prefix.tolist(), max_new_tokens=T - P, use_cache=use_cache
        )
        for use_cache in (True, False)
    ]
    assert runs[0] == runs[1]
    read_both_ways, _ = model.given_prefix(prefix).next_log_probs(prefix)
    read_one_way, _ = model.next_log_probs(prefix)
    assert (read_both_ways - read_one_way).abs().max() > 1e-3


def test_what_cannot_be_a_prefix_is_refused(model, window):
    prefix = window[:, :P]
    reader = model.given_prefix(prefix)
    with pytest.raises(ValueError, match="must begin with the whole prefix"):
        generate(reader, prefix.tolist(), max_new_tokens=T - P + 2)  # the window slides
    with pytest.raises(ValueError, match="must begin with the whole prefix"):
        reader.next_log_probs(prefix[:, : P - 1])
    _, state = reader.next_log_probs(prefix)
    with pytest.raises(ValueError, match="a prefix is read at once"):
        model.next_log_probs(prefix[:, :1], state, prefix_lengths=torch.tensor([1] * B))
    for lengths in ([0, 1, 1], [1, 1, T + 1], [1, 1]):
        with pytest.raises(ConfigError, match="must be 3 lengths from 1 to 11"):
            prefix_batch(window, seeded(0), prefix_lengths=torch.tensor(lengths))


def test_a_model_that_reads_one_way_refuses_a_prefix(window):
    config = RecurrentConfig.lstm(vocab_size=V, d_model=4, n_layers=1)
    batch = prefix_batch(window, seeded(0))
    with pytest.raises(ValueError, match="reads in one direction: it cannot take a prefix"):
        Recurrent(config).loss_sums(batch)
