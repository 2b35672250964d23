import copy
import functools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minillm.attention import attention as attend
from minillm.batch import IGNORE_INDEX, Batch
from minillm.config import DecoderConfig
from minillm.masking import MaskRule, causal_mask
from minillm.models.decoder import Decoder

FAMILIES = {
    "gpt": DecoderConfig.gpt,
    "llama": DecoderConfig.llama,
    "original": functools.partial(  # Vaswani et al. 2017, and another activation
        DecoderConfig.gpt,
        norm_position="post",
        positions="sinusoidal",
        feed_forward="relu_squared",
    ),
}
SIZES = {"vocab_size": 31, "context_length": 13, "d_model": 24, "n_layers": 3, "n_heads": 6}
B, T, V, L, H = 2, 13, 31, 3, 6


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(params=FAMILIES)
def family(request):
    return FAMILIES[request.param]


@pytest.fixture
def model(family, generator):
    return make_model(family(**SIZES, n_kv_heads=2), generator)


@pytest.fixture
def token_ids(generator):
    return torch.randint(V, (B, T), generator=generator)


def make_model(config, generator, *, std=0.3, **options):
    """Make a decoder with large random weights, so that every part shows in the output."""
    model = Decoder(config, generator=generator, **options).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * std)
    return model


def next_batch(token_ids, **fields):
    targets = token_ids.roll(-1, dims=1)
    targets[:, -1] = IGNORE_INDEX
    return Batch(inputs=token_ids, targets=targets, **fields)


@pytest.mark.parametrize("norm_position", ["pre", "post"])
@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_decoder_equals_torch_encoder_layers(generator, token_ids, norm_position, positions):
    parts = {"norm_position": norm_position, "positions": positions}
    model = make_model(DecoderConfig.gpt(**SIZES, **parts), generator)
    x = model.token_embedding.weight[token_ids]
    if positions == "learned":
        x = x + model.position_embedding.weight[:T]
    else:  # Vaswani et al. 2017, §3.4 and §3.5
        x = x * 24**0.5 + model.position_embedding(torch.arange(T))
    for block in model.blocks:
        peer = nn.TransformerEncoderLayer(
            24,
            H,
            96,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=norm_position == "pre",
        ).double()
        ours = block.attention
        projections = (ours.query, ours.key, ours.value)
        peer.load_state_dict(
            {
                "self_attn.in_proj_weight": torch.cat([part.weight for part in projections]),
                "self_attn.in_proj_bias": torch.cat([part.bias for part in projections]),
                **{f"self_attn.out_proj.{k}": v for k, v in ours.output.state_dict().items()},
                **{f"norm1.{k}": v for k, v in block.attention_norm.state_dict().items()},
                **{f"norm2.{k}": v for k, v in block.feed_forward_norm.state_dict().items()},
                **{f"linear1.{k}": v for k, v in block.feed_forward.up.state_dict().items()},
                **{f"linear2.{k}": v for k, v in block.feed_forward.down.state_dict().items()},
            }
        )
        x = peer(x, src_mask=~causal_mask(T))
    if norm_position == "pre":  # the original has no norm after the last one
        x = F.layer_norm(x, (24,), model.final_norm.weight, model.final_norm.bias)
    torch.testing.assert_close(model(token_ids), x @ model.token_embedding.weight.T)


@pytest.mark.parametrize("norm_position", ["pre", "post"])
@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary"])
def test_cached_steps_equal_the_whole_text_with_every_part(
    generator, token_ids, norm_position, positions
):
    parts = {"norm_position": norm_position, "positions": positions}
    model = make_model(DecoderConfig.gpt(**SIZES, **parts), generator)
    expected = model(token_ids).log_softmax(dim=-1)
    state = None
    for start, stop in ((0, 4), (4, 5), (5, 11), (11, 13)):
        log_probs, state = model.next_log_probs(token_ids[:, start:stop], state)
        torch.testing.assert_close(log_probs, expected[:, stop - 1].float())


def test_backends_agree(model, token_ids):
    expected = model(token_ids)
    model.set_backend("reference")
    assert {block.attention.backend for block in model.blocks} == {"reference"}
    torch.testing.assert_close(model(token_ids), expected)
    with pytest.raises(ValueError, match="got 'magic'"):
        model.set_backend("magic")


def test_rotary_base_reaches_the_angles(generator, token_ids):
    model = make_model(DecoderConfig.llama(**SIZES, rotary_base=7.0), generator)
    seen = []
    model.blocks[2].register_forward_pre_hook(
        lambda _, args, options: seen.append(options["rotation"]), with_kwargs=True
    )
    model(token_ids)
    expected = [math.cos(5 * 7.0 ** (-2 * i / 4)) for i in range(2)]  # position 5, head_dim 4
    assert seen[0].cos[5].tolist() == pytest.approx(expected, abs=1e-5)


def test_every_parameter_has_a_gradient(model, token_ids):
    model.loss_sums(next_batch(token_ids))["tokens"].backward()
    for name, parameter in model.named_parameters():
        if not name.endswith("key.bias"):  # adds the same score to every key: no effect
            assert parameter.grad.abs().max() > 1e-8, name


def test_log_probs_sum_to_the_loss_and_are_the_softmax(model, token_ids):
    batch = next_batch(token_ids)
    log_probs = model.log_probs(batch)
    torch.testing.assert_close(-log_probs.sum(), model.loss_sums(batch)["tokens"])
    softmax = model(token_ids).log_softmax(dim=-1)
    for b in range(B):
        for t in range(T - 1):
            torch.testing.assert_close(log_probs[b, t], softmax[b, t, token_ids[b, t + 1]])
    assert torch.equal(log_probs[:, -1], torch.zeros(B, dtype=log_probs.dtype))


@pytest.mark.parametrize("tied", [True, False])
def test_training_equals_the_plain_loss_and_never_holds_the_logits(
    family, generator, token_ids, tied
):
    model = make_model(family(**SIZES, tie_embeddings=tied), generator)
    batch = next_batch(token_ids)
    logits = model(token_ids)
    loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="sum") / 7
    expected = torch.autograd.grad(loss, list(model.parameters()))
    model.unembedding.register_forward_hook(lambda *_: pytest.fail("the logits were made"))
    (model.loss_sums(batch)["tokens"] / 7).backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


# --- initialization


@pytest.mark.parametrize("tied", [True, False])
def test_initial_loss_is_ln_v(family, tied, generator):
    config = family(vocab_size=257, d_model=64, n_layers=2, n_heads=2, tie_embeddings=tied)
    model = Decoder(config, generator=generator)
    batch = next_batch(torch.randint(257, (7, 31), generator=generator))
    loss = model.loss_sums(batch)["tokens"] / batch.n_scored()["tokens"]
    assert loss.item() == pytest.approx(math.log(257), abs=0.1)


def test_initial_weights_have_their_scale(family, generator):
    config = family(vocab_size=499, d_model=64, n_layers=8, n_heads=4)
    for name, parameter in Decoder(config, generator=generator).named_parameters():
        if "norm" in name or name.endswith("bias"):
            assert torch.equal(
                parameter, torch.full_like(parameter, "norm" in name and "weight" in name)
            )
            continue
        ends_branch = name.endswith(("attention.output.weight", "feed_forward.down.weight"))
        is_summed = ends_branch and config.norm_position == "pre"
        expected = 0.02 / math.sqrt(2 * 8) if is_summed else 0.02
        n = parameter.numel()
        assert abs(parameter.mean().item()) < 5 * expected / n**0.5, name
        assert abs(parameter.std().item() / expected - 1) < 5 / (2 * n) ** 0.5, name


def test_only_the_generator_decides_the_weights(family):
    config = family(**SIZES)
    before = torch.random.get_rng_state()
    first, same = (Decoder(config, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    other = Decoder(config, generator=torch.Generator().manual_seed(4))
    assert torch.equal(torch.random.get_rng_state(), before)
    ours, equal, different = (
        nn.utils.parameters_to_vector(m.parameters()) for m in (first, same, other)
    )
    assert torch.equal(ours, equal)
    assert not torch.isclose(ours, different).float().mean() > 0.5
    assert torch.equal(
        Decoder(config).token_embedding.weight, Decoder(config).token_embedding.weight
    )


@pytest.mark.parametrize("tied", [True, False])
def test_tied_embeddings_are_one_matrix(family, tied, generator, token_ids):
    model = Decoder(family(**SIZES, tie_embeddings=tied), generator=generator)
    for same in (model, copy.deepcopy(model), model.double()):
        shared = same.unembedding.weight is same.token_embedding.weight
        assert shared == tied
    names = [name for name, _ in model.named_parameters()]
    assert ("unembedding.weight" in names) != tied
    model.loss_sums(next_batch(token_ids))["tokens"].backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert torch.equal(model.unembedding.weight, model.token_embedding.weight) == tied


def test_parameter_counts_are_the_formulas():
    c, f = 24, 96
    gpt = Decoder(DecoderConfig.gpt(**SIZES))
    block = 4 * (c * c + c) + (c * f + f) + (f * c + c) + 2 * 2 * c
    assert gpt.n_parameters() == V * c + T * c + L * block + 2 * c
    llama = Decoder(DecoderConfig.llama(**SIZES, n_kv_heads=2))
    block = 2 * c * c + 2 * c * 8 + 3 * c * 64 + 2 * c
    assert llama.n_parameters() == 2 * V * c + L * block + c


# --- who reads whom


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_future_cannot_change_the_past(model, token_ids, backend):
    model.set_backend(backend)
    before = model(token_ids)
    for t in range(T):
        changed = token_ids.clone()
        changed[:, t] = (changed[:, t] + 1) % V
        after = model(changed)
        torch.testing.assert_close(after[:, :t], before[:, :t])
        assert ((after[:, t:] - before[:, t:]).abs().amax(dim=-1) > 1e-6).all()


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_packed_documents_do_not_read_each_other(model, token_ids, backend):
    model.set_backend(backend)
    document_ids = torch.tensor([[0] * 5 + [1] * 8, [3] * 9 + [4] * 4])
    before = model(token_ids, document_ids=document_ids)
    changed = token_ids.clone()
    changed[0, :5] = (changed[0, :5] + 1) % V
    after = model(changed, document_ids=document_ids)
    torch.testing.assert_close(after[0, 5:], before[0, 5:])
    torch.testing.assert_close(after[1], before[1])
    assert not torch.isclose(after[0, :5], before[0, :5]).all(dim=-1).any()
    torch.testing.assert_close(before[:, :5], model(token_ids[:, :5]))  # the first is alone
    assert not torch.allclose(before[0, 5:], model(token_ids)[0, 5:])
    one = model(token_ids, document_ids=torch.tensor([[0] * T, [1] * T]))
    torch.testing.assert_close(one, model(token_ids))


def test_batch_fields_reach_the_masks(model, token_ids):
    document_ids = torch.tensor([[0] * 5 + [1] * 8, [3] * 9 + [4] * 4])
    is_padding = torch.zeros(B, T, dtype=torch.bool)
    is_padding[0, 10:] = True
    batch = next_batch(token_ids, document_ids=document_ids, is_padding=is_padding)
    logits = model(token_ids, document_ids=document_ids, is_padding=is_padding)
    expected = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="sum")
    torch.testing.assert_close(model.loss_sums(batch)["tokens"], expected)
    plain = model.loss_sums(next_batch(token_ids))["tokens"]
    assert not torch.allclose(expected, plain)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_padding_changes_nothing(model, token_ids, side, backend):
    model.set_backend(backend)
    text, padding = token_ids[:1, :8], token_ids[1:, :5]
    filled = torch.cat([padding, text] if side == "left" else [text, padding], dim=1)
    place = slice(5, 13) if side == "left" else slice(0, 8)
    is_padding = torch.ones(1, T, dtype=torch.bool)
    is_padding[:, place] = False
    torch.testing.assert_close(model(filled, is_padding=is_padding)[:, place], model(text))


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_a_fully_padded_row_is_finite_row37(model, token_ids, backend):
    model.set_backend(backend)
    is_padding = torch.zeros(B, T, dtype=torch.bool)
    is_padding[0] = True
    batch = next_batch(token_ids, is_padding=is_padding)
    batch.targets[0] = IGNORE_INDEX
    loss = model.loss_sums(batch)["tokens"]
    loss.backward()
    alone = model.loss_sums(next_batch(token_ids[1:]))["tokens"]
    torch.testing.assert_close(loss, alone)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


# --- attention weights


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_attention_weights_are_those_that_were_used(model, token_ids, backend):
    """Mixing the values by the shown weights must give what each layer really put out."""
    model.set_backend(backend)
    document_ids = torch.tensor([[0] * 5 + [1] * 8, [3] * 9 + [4] * 4])
    weights = model.attention_weights(token_ids, document_ids=document_ids)
    assert weights.shape == (L, B, H, T, T)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(L, B, H, T, dtype=torch.float64))
    assert torch.equal(weights.triu(1), torch.zeros_like(weights))
    assert (weights[:, 0, :, 5:, :5] == 0).all()
    taken = {}
    for layer, block in enumerate(model.blocks):
        block.attention.register_forward_hook(
            lambda module, inputs, out, layer=layer: taken.update({layer: (module, inputs[0], out)})
        )
    model(token_ids, document_ids=document_ids)
    for layer, (attention, x, out) in taken.items():
        value = attention.value(x).view(B, T, 2, 4).transpose(1, 2).repeat_interleave(3, dim=1)
        mixed = (weights[layer] @ value).transpose(1, 2).reshape(B, T, 24)
        torch.testing.assert_close(attention.output(mixed), out)


def test_attention_weights_leave_the_model_as_it_was(model, token_ids):
    before = model(token_ids)
    model.attention_weights(token_ids)
    assert torch.equal(model(token_ids), before)
    assert not any(block.attention._forward_pre_hooks for block in model.blocks)


# --- boundaries, refusals, precision, learning


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
@pytest.mark.parametrize("shape", [(B, 1), (0, T), (B, 0), (1, T)])
def test_boundary_shapes_row40(model, shape, backend):
    model.set_backend(backend)
    token_ids = torch.zeros(shape, dtype=torch.long)
    for fields in (
        {},
        {"document_ids": token_ids},
        {"is_padding": token_ids.bool()},
    ):
        assert model(token_ids, **fields).shape == (*shape, V)
        batch = Batch(inputs=token_ids, targets=token_ids, **fields)
        model.loss_sums(batch)["tokens"].backward()
        assert model.log_probs(batch).shape == shape
    assert model.attention_weights(token_ids).shape == (L, shape[0], H, shape[1], shape[1])


def test_misfits_are_refused(model, token_ids):
    with pytest.raises(ValueError, match=r"needs batch\.targets"):
        model.loss_sums(Batch(inputs=token_ids))
    with pytest.raises(ValueError, match=r"needs batch\.targets"):
        model.log_probs(Batch(inputs=token_ids))
    with pytest.raises(ValueError, match=r"token_ids must be \(B, T\)"):
        model(token_ids[0])
    with pytest.raises(ValueError, match="at least one token"):
        model.next_log_probs(token_ids[:, :0])
    with pytest.raises(ValueError, match=r"is_padding \(2, 12\) must have the shape"):
        model(token_ids, is_padding=torch.zeros(B, 12, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"target id 31 .* vocabulary of 31"):
        model.loss_sums(Batch(inputs=token_ids, targets=torch.full_like(token_ids, 31)))


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_autocast_trains_with_a_float32_loss(family, token_ids, backend, generator):
    model = Decoder(family(**SIZES, n_kv_heads=2), generator=generator, backend=backend)
    batch = next_batch(token_ids, document_ids=torch.tensor([[0] * 5 + [1] * 8, [3] * 13]))
    expected = model.loss_sums(batch)["tokens"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.loss_sums(batch)["tokens"]
        assert model.log_probs(batch).dtype == torch.float32
        _, state = model.eval().next_log_probs(token_ids[:, :5])
        log_probs, _ = model.next_log_probs(token_ids[:, 5:6], state)
    loss.backward()
    assert loss.dtype == torch.float32
    assert log_probs.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=1e-3)
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters())


def test_one_batch_can_be_memorized(family, generator):
    model = Decoder(family(**SIZES), generator=generator)
    batch = next_batch(torch.randperm(V, generator=generator)[None, :T])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = model.loss_sums(batch)["tokens"] / 12
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 < losses[0]


def test_flex_gets_documents_as_a_rule_and_others_as_a_matrix(monkeypatch):
    """Values, and what the layers were given; the kernel itself is tested in tests/kernels."""
    given = []

    def record(query, key, value, *, mask, backend, **options):
        given.append((backend, mask))
        return attend(query, key, value, mask=mask, backend="sdpa", **options)

    monkeypatch.setattr("minillm.blocks.attention", record)
    config = DecoderConfig.gpt(vocab_size=11, d_model=6, n_heads=3, n_layers=2, context_length=7)
    model = Decoder(config, generator=torch.Generator().manual_seed(0))
    token_ids = torch.arange(14).view(2, 7) % 11
    ids = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 2, 2]])
    expected = model.hidden(token_ids, document_ids=ids)
    model.set_backend("flex")
    torch.testing.assert_close(model.hidden(token_ids, document_ids=ids), expected)
    assert [type(mask) for _, mask in given] == [torch.Tensor] * 2 + [MaskRule] * 2
    assert given[2][1] is given[3][1]  # one rule for all layers: its blocks are found once
    is_padding = torch.zeros(2, 7, dtype=torch.bool)
    model.hidden(token_ids, document_ids=ids, is_padding=is_padding)
    assert type(given[-1][1]) is torch.Tensor
    weights = model.attention_weights(token_ids, document_ids=ids)
    model.set_backend("sdpa")
    torch.testing.assert_close(weights, model.attention_weights(token_ids, document_ids=ids))
