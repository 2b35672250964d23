"""The key/value cache of the decoder: every cached step equals the full forward."""

import pytest
import torch

from minillm.config import DecoderConfig
from minillm.models.decoder import Decoder

B, T, V = 2, 13, 31


@pytest.fixture(params=["gpt", "llama"])
def model(request):
    """Make a decoder with large random weights, so that every part shows in the output."""
    family = {"gpt": DecoderConfig.gpt, "llama": DecoderConfig.llama}[request.param]
    config = family(vocab_size=V, context_length=T, d_model=24, n_layers=3, n_heads=6, n_kv_heads=2)
    generator = torch.Generator().manual_seed(0)
    model = Decoder(config, generator=generator).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


@pytest.fixture
def token_ids():
    return torch.randint(V, (B, T), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
@pytest.mark.parametrize("chunks", [[1] * 13, [13], [5, 1, 1, 4, 2], [1, 12], [12, 1], [4, 9]])
def test_cache_equals_the_full_forward_at_every_step(model, token_ids, chunks, backend):
    model.set_backend(backend)
    expected = model(token_ids).float().log_softmax(dim=-1)
    state, stop = None, 0
    for n_new in chunks:
        new, stop = token_ids[:, stop : stop + n_new], stop + n_new
        log_probs, state = model.next_log_probs(new, state)
        assert log_probs.shape == (B, V)
        assert log_probs.dtype == torch.float32
        torch.testing.assert_close(log_probs, expected[:, stop - 1], atol=1e-5, rtol=1e-5)


def test_cached_tokens_are_not_computed_again(model, token_ids):
    seen = []
    model.blocks[0].register_forward_pre_hook(
        lambda _, arguments: seen.append(arguments[0].shape[1])
    )
    model.unembedding.register_forward_pre_hook(
        lambda _, arguments: seen.append(arguments[0].shape)
    )
    _, state = model.next_log_probs(token_ids[:, :7])
    model.next_log_probs(token_ids[:, 7:8], state)
    assert seen == [7, (B, 24), 1, (B, 24)]  # only the last position is scored


def test_two_texts_have_two_states(model, token_ids):
    _, first = model.next_log_probs(token_ids[:1, :4])
    _, second = model.next_log_probs(token_ids[1:, :4])
    log_probs, _ = model.next_log_probs(token_ids[:1, 4:5], first)
    expected, _ = model.next_log_probs(token_ids[:1, :5])
    torch.testing.assert_close(log_probs, expected)
    log_probs, _ = model.next_log_probs(token_ids[1:, 4:5], second)
    expected, _ = model.next_log_probs(token_ids[1:, :5])
    torch.testing.assert_close(log_probs, expected)


def test_more_than_the_context_is_refused_and_the_state_stays(model, token_ids):
    with pytest.raises(ValueError, match="14 tokens are more than context_length=13"):
        model(torch.cat([token_ids, token_ids[:, :1]], dim=1))
    _, state = model.next_log_probs(token_ids[:, :12])
    with pytest.raises(ValueError, match="14 tokens are more than context_length=13"):
        model.next_log_probs(token_ids[:, :2], state)
    log_probs, state = model.next_log_probs(token_ids[:, 12:], state)
    torch.testing.assert_close(
        log_probs, model(token_ids)[:, -1].float().log_softmax(dim=-1), atol=1e-5, rtol=1e-5
    )
    with pytest.raises(ValueError, match="14 tokens"):
        model.next_log_probs(token_ids[:, :1], state)


def test_a_state_of_another_batch_is_refused(model, token_ids):
    _, state = model.next_log_probs(token_ids[:, :3])
    with pytest.raises(ValueError, match="holds 2 sequences, the new keys 1"):
        model.next_log_probs(token_ids[:1, 3:4], state)
