"""The encoder–decoder: torch's Transformer as reference, causality, the cache, learning."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minillm.batch import Batch
from minillm.config import EncoderDecoderConfig
from minillm.errors import ConfigError
from minillm.generation import generate
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.positions import SinusoidalPositions

V, B, S, T, H, D = 31, 2, 13, 7, 3, 4
SIZES = {"vocab_size": V, "context_length": 29, "d_model": H * D, "n_layers": 2, "n_heads": H}
FAMILIES = {
    "t5": EncoderDecoderConfig.t5,
    "t5_1_1": EncoderDecoderConfig.t5_1_1,
    "original": EncoderDecoderConfig.original,
}


def make(family, *, std=0.3, **changes):
    """Build a model of which every parameter matters."""
    generator = torch.Generator().manual_seed(0)
    model = EncoderDecoder(FAMILIES[family](**(SIZES | changes)), generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * std)
    return model.eval()


@pytest.fixture(params=FAMILIES)
def model(request):
    return make(request.param)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(V, (B, T), generator=generator)
    return Batch(
        inputs=torch.randint(V, (B, S), generator=generator),
        is_padding=torch.arange(S) >= torch.tensor([[13], [5]]),
        decoder_inputs=torch.cat([torch.zeros(B, 1, dtype=torch.int64), targets[:, :-1]], dim=1),
        targets=targets.masked_fill(torch.arange(T) >= torch.tensor([[7], [4]]), -100),
    )


def copied_attention(ours, theirs):
    """Put the weights of a layer into nn.MultiheadAttention."""
    parts = ours.query, ours.key, ours.value
    theirs.in_proj_weight.data = torch.cat([part.weight for part in parts])
    theirs.in_proj_bias.data = torch.cat([part.bias for part in parts])
    theirs.out_proj.load_state_dict(ours.output.state_dict())


def as_torch(model):
    """Return nn.Transformer with the weights of an original Transformer of ours."""
    config = model.config
    settings = {"dropout": 0.0, "layer_norm_eps": config.norm_eps, "batch_first": True}
    sizes = config.d_model, H, config.hidden_width
    encoder_layer = nn.TransformerEncoderLayer(*sizes, **settings)
    decoder_layer = nn.TransformerDecoderLayer(*sizes, **settings)
    theirs = nn.Transformer(  # without norms after the last layers: the paper has none
        config.d_model,
        H,
        custom_encoder=nn.TransformerEncoder(
            encoder_layer, config.n_layers, enable_nested_tensor=False
        ),
        custom_decoder=nn.TransformerDecoder(decoder_layer, config.decoder_layers),
        batch_first=True,
    ).eval()
    for stack, reference in ((model.encoder, theirs.encoder), (model.decoder, theirs.decoder)):
        for block, layer in zip(stack.blocks, reference.layers, strict=True):
            copied_attention(block.attention, layer.self_attn)
            norms = [block.attention_norm, block.feed_forward_norm]
            if stack is model.decoder:
                copied_attention(block.cross_attention, layer.multihead_attn)
                norms.insert(1, block.cross_attention_norm)
            for number, norm in enumerate(norms, start=1):
                getattr(layer, f"norm{number}").load_state_dict(norm.state_dict())
            layer.linear1.load_state_dict(block.feed_forward.up.state_dict())
            layer.linear2.load_state_dict(block.feed_forward.down.state_dict())
    return theirs


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_the_original_equals_torchs_transformer(batch, backend):
    model = make("original", n_decoder_layers=3)
    model.set_backend(backend)
    theirs, positions = as_torch(model), SinusoidalPositions(H * D)

    def embedded(token_ids):
        vectors = F.embedding(token_ids, model.token_embedding.weight) * math.sqrt(H * D)
        return vectors + positions(torch.arange(token_ids.shape[1]))

    expected = theirs(
        embedded(batch.inputs),
        embedded(batch.decoder_inputs),
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(T),
        src_key_padding_mask=batch.is_padding,
        memory_key_padding_mask=batch.is_padding,
    )
    logits = model(batch.inputs, batch.decoder_inputs, is_padding=batch.is_padding)
    expected = expected @ model.token_embedding.weight.T  # §3.4: one matrix for all three
    torch.testing.assert_close(logits, expected, atol=2e-5, rtol=1e-5)


def test_the_future_of_the_target_changes_nothing(model, batch):
    before = model(batch.inputs, batch.decoder_inputs)
    for t in range(1, T):
        changed = batch.decoder_inputs.clone()
        changed[:, t] = (changed[:, t] + 1) % V
        after = model(batch.inputs, changed)
        torch.testing.assert_close(after[:, :t], before[:, :t])
        assert (after[:, t:] - before[:, t:]).abs().amax(dim=-1).min() > 1e-4


def test_every_target_position_reads_every_source_token(model, batch):
    """The source is no past: its last token matters to the first prediction."""
    before = model(batch.inputs, batch.decoder_inputs)
    for s in range(S):
        changed = batch.inputs.clone()
        changed[:, s] = (changed[:, s] + 1) % V
        after = model(changed, batch.decoder_inputs)
        assert (after - before).abs().amax(dim=-1).min() > 1e-5


def test_padding_of_the_source_is_not_read(model, batch):
    logits = model(batch.inputs, batch.decoder_inputs, is_padding=batch.is_padding)
    cut = model(batch.inputs[1:, :5], batch.decoder_inputs[1:])
    torch.testing.assert_close(logits[1:], cut, atol=1e-5, rtol=1e-5)


def test_loss_and_log_probs_are_those_of_the_logits(model, batch):
    logits = model(batch.inputs, batch.decoder_inputs, is_padding=batch.is_padding)
    expected = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="sum")
    torch.testing.assert_close(model.loss_sums(batch)["tokens"], expected)
    torch.testing.assert_close(model.log_probs(batch).sum(), -expected)
    assert (model.log_probs(batch)[batch.targets == -100] == 0).all()


@pytest.mark.parametrize("chunks", [[1] * 7, [7], [1, 4, 2], [3, 4]])
def test_cached_steps_equal_the_full_forward(model, batch, chunks):
    model = model.double()
    logits = model(batch.inputs, batch.decoder_inputs, is_padding=batch.is_padding)
    expected = logits.float().log_softmax(dim=-1)
    state, stop = model.first_state(batch.inputs, batch.is_padding), 0
    for n_new in chunks:
        new, stop = batch.decoder_inputs[:, stop : stop + n_new], stop + n_new
        log_probs, state = model.next_log_probs(new, state)
        torch.testing.assert_close(log_probs, expected[:, stop - 1], atol=1e-5, rtol=1e-5)


def test_source_and_past_are_computed_once(model, batch):
    seen = []
    block = model.decoder.blocks[0]
    for part in (block.attention.key, block.cross_attention.key, model.encoder.blocks[0]):
        part.register_forward_pre_hook(
            lambda module, arguments: seen.append(tuple(arguments[0].shape[:2]))
        )
    generate(model.given(batch.inputs), [[0]] * B, max_new_tokens=3, temperature=0)
    assert seen == [(B, S), (B, 1), (B, S), (B, 1), (B, 1)]


def test_generation_with_and_without_cache_agrees_and_a_row_writes_as_alone(model, batch):
    given = model.given(batch.inputs, batch.is_padding)
    runs = [
        generate(given, [[0]] * B, max_new_tokens=40, seed=3, use_cache=use_cache)
        for use_cache in (True, False)  # beyond the context: the window starts again
    ]
    assert runs[0] == runs[1]
    alone = generate(model.given(batch.inputs[1:, :5]), [[0]], max_new_tokens=40, seed=4)
    assert runs[0][1] == alone[0]


def test_weights_are_those_of_the_forward_pass(model, batch):
    weights = model.attention_weights(
        batch.inputs, batch.decoder_inputs, is_padding=batch.is_padding
    )
    assert weights.encoder.shape == (2, B, H, S, S)
    assert weights.decoder.shape == (2, B, H, T, T)
    assert weights.cross.shape == (2, B, H, T, S)
    for part in weights:
        torch.testing.assert_close(part.sum(dim=-1), torch.ones(part.shape[:-1]))
    assert (weights.cross[:, 1, :, :, 5:] == 0).all()
    assert (weights.decoder.triu(1) == 0).all()
    assert (weights.encoder[:, 0].triu(1) > 0).any()
    block = model.decoder.blocks[0]
    seen = {}
    block.cross_attention.value.register_forward_hook(lambda _m, _a, out: seen.update(value=out))
    block.cross_attention.output.register_forward_pre_hook(
        lambda _m, arguments: seen.update(mixed=arguments[0])
    )
    model(batch.inputs, batch.decoder_inputs, is_padding=batch.is_padding)
    value = seen["value"].unflatten(-1, (H, -1)).transpose(1, 2)
    mixed = (weights.cross[0] @ value).transpose(1, 2).flatten(2)
    torch.testing.assert_close(mixed, seen["mixed"], atol=1e-5, rtol=1e-5)


def test_one_bias_serves_all_layers_of_a_stack():
    model = make("t5")
    names = [name for name, _ in model.named_parameters() if "relative_bias" in name]
    assert names == ["encoder.relative_bias.weight", "decoder.relative_bias.weight"]
    assert not any(name.endswith(".bias") for name, _ in model.named_parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_starts_half_a_nat_above_ln_v(family):
    """Logits of variance 1: E[logsumexp] = ln V + 1/2, and the target's has the mean 0."""
    config = FAMILIES[family](vocab_size=997, d_model=64, n_layers=2, n_heads=4)
    model = EncoderDecoder(config, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    inputs, decoder_inputs, targets = torch.randint(997, (3, 16, 23), generator=generator)
    batch = Batch(inputs=inputs, decoder_inputs=decoder_inputs, targets=targets)
    loss = model.loss_sums(batch)["tokens"] / targets.numel()
    assert loss.item() == pytest.approx(math.log(997) + 0.5, abs=0.15)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_is_memorized(family, batch):
    model = EncoderDecoder(FAMILIES[family](**SIZES), generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(100):
        loss = model.loss_sums(batch)["tokens"] / batch.n_scored()["tokens"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_acts_in_training_only(family, batch):
    model = make(family, dropout=0.3)
    assert torch.equal(*(model(batch.inputs, batch.decoder_inputs) for _ in range(2)))
    model.train()
    first, second = (model(batch.inputs, batch.decoder_inputs) for _ in range(2))
    assert not torch.equal(first, second)


def test_what_does_not_fit_is_refused(model, batch):
    with pytest.raises(ValueError, match="30 tokens are more than context_length=29"):
        model(torch.zeros(B, 30, dtype=torch.int64), batch.decoder_inputs)
    with pytest.raises(ValueError, match="30 tokens are more than context_length=29"):
        model(batch.inputs, torch.zeros(B, 30, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"is_padding \(2, 7\) must have the shape of inputs"):
        model(batch.inputs, batch.decoder_inputs, is_padding=batch.is_padding[:, :T])
    with pytest.raises(ValueError, match=r"needs batch\.decoder_inputs and batch\.targets"):
        model.loss_sums(Batch(inputs=batch.inputs, targets=batch.targets))
    state = model.first_state(batch.inputs)
    for wrong in (torch.zeros(1, 1), torch.zeros(B, 0), torch.zeros(B)):
        with pytest.raises(ValueError, match=r"with the B = 2 of the source"):
            model.next_log_probs(wrong.long(), state)
    with pytest.raises(ValueError, match="the cache is empty"):
        state.caches[0].stored()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_heads": 5}, "n_heads=5 must divide d_model=12, or give d_head"),
        ({"attention_scale": 0.0}, "attention_scale must be positive"),
        ({"positions": "sinusoidal", "d_model": 9}, "need an even d_model, got 9"),
        ({"n_buckets": 7}, "n_buckets must be even"),
        ({"max_distance": 16}, "max_distance more than half of it, got 32 and 16"),
        ({"feed_forward": "mish"}, "feed_forward must be relu or"),
        ({"n_decoder_layers": 0}, "n_decoder_layers must be positive"),
    ],
)
def test_settings_without_meaning_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        EncoderDecoderConfig.t5(**(SIZES | changes))
