"""LoRA begins as the pretrained model, learns only its matrices, and merges into one layer."""

import copy

import pytest
import torch

from minillm.batch import Batch
from minillm.config import DecoderConfig
from minillm.errors import ConfigError
from minillm.finetuning.lora import LowRankLinear, add_adapters, merge_adapters
from minillm.finetuning.model import FineTuned, TaskConfig
from minillm.linear import Linear
from minillm.models.decoder import Decoder
from minillm.optim import make_optimizer
from minillm.training import train

CONFIG = TaskConfig(task="classify", labels=("a", "b", "c"), max_tokens=31, lora_rank=2)
TOKEN_IDS = torch.randint(0, 256, (3, 7), generator=torch.Generator().manual_seed(3))
BATCH = Batch(inputs=TOKEN_IDS, labels=torch.tensor([0, 2, 1]))


def trained(model, n_steps=5):
    optimizer = make_optimizer(model, name="adamw", learning_rate=0.1)
    list(train(model, optimizer, [[BATCH]] * n_steps))
    return model.eval()


def hidden(body):
    return body.hidden(TOKEN_IDS).detach()


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_it_begins_as_the_pretrained_model(make_body, kind):
    body = make_body(kind)
    before = hidden(body)
    names = add_adapters(body, rank=2, alpha=7.0)
    assert names == [f"blocks.{i}.attention.{name}" for i in (0, 1) for name in ("query", "value")]
    assert torch.equal(hidden(body), before)


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_merged_equals_adapted(make_body, kind):
    model = trained(FineTuned(make_body(kind).double(), CONFIG).double())
    body = model.body
    adapted = hidden(body)
    assert float((adapted - hidden(make_body(kind).double())).abs().max()) > 0.01
    assert len(merge_adapters(body)) == 4
    torch.testing.assert_close(hidden(body), adapted, rtol=0, atol=1e-12)
    assert not any(isinstance(layer, LowRankLinear) for layer in body.modules())
    assert {*body.state_dict()} == {*make_body(kind).state_dict()}


def test_merged_equals_adapted_in_single_precision(make_body):
    body = trained(FineTuned(make_body("encoder"), CONFIG)).body
    adapted = hidden(body)
    merge_adapters(body)
    torch.testing.assert_close(hidden(body), adapted, rtol=1e-5, atol=1e-5)


def test_of_an_encoder_decoder_only_the_encoder_is_adapted(make_body):
    body = make_body("encoder_decoder").double()
    before = body.encode(TOKEN_IDS)[0].detach()
    model = FineTuned(body, CONFIG).double()
    unchanged = body.encode(TOKEN_IDS)[0]  # a frozen bias lets PyTorch take another kernel
    torch.testing.assert_close(unchanged, before, rtol=0, atol=1e-12)
    adapted = {name for name, p in model.named_parameters() if p.requires_grad}
    assert adapted == {"head.scores.weight", "head.scores.bias"} | {
        f"body.encoder.blocks.{i}.attention.{name}.{part}"
        for i in (0, 1)
        for name in ("query", "value")
        for part in ("down", "up")
    }
    trained(model)
    learned = body.encode(TOKEN_IDS)[0].detach()
    assert float((learned - before).abs().max()) > 0.01
    merge_adapters(body)
    torch.testing.assert_close(body.encode(TOKEN_IDS)[0], learned, rtol=0, atol=1e-12)


def test_the_change_is_alpha_over_rank_times_b_a():
    generator = torch.Generator().manual_seed(5)
    for bias in (True, False):
        base = Linear(7, 5, bias=bias)
        adapter = LowRankLinear(base, rank=3, alpha=2.0)
        with torch.no_grad():
            adapter.up.copy_(torch.randn(5, 3, generator=generator))
        x = torch.randn(11, 7, generator=generator)
        change = 2.0 / 3 * torch.einsum("or,rf,bf->bo", adapter.up, adapter.down, x)
        torch.testing.assert_close(adapter(x) - base(x), change, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(adapter.merged()(x), adapter(x), rtol=1e-4, atol=1e-5)


def test_only_adapters_and_head_learn(make_body):
    model = FineTuned(make_body("encoder"), CONFIG)
    before = copy.deepcopy(model.state_dict())
    trained(model)
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.endswith((".up", ".down"))} | {
        "head.scores.weight",
        "head.scores.bias",
    }
    # 2 layers × 2 matrices × 2 × (10 + 10) numbers, and a head of 3 × 10 + 3
    assert model.n_trainable() == 2 * 2 * 2 * 20 + 33


def test_both_matrices_have_the_paper_s_first_values():
    adapter = LowRankLinear(Linear(997, 101), rank=101, alpha=1.0)
    assert not bool(adapter.up.any())
    spread = adapter.down.detach() * 997**0.5  # N(0, 1), 5 σ of its mean and of its variance
    n = spread.numel()
    assert abs(float(spread.mean())) < 5 / n**0.5
    assert abs(float(spread.var()) - 1) < 5 * (2 / n) ** 0.5


def test_refusals(make_body):
    with pytest.raises(ConfigError, match="rank must be from 1 to 5, the smaller side of a 5 × 7"):
        LowRankLinear(Linear(7, 5), rank=6, alpha=1.0)
    with pytest.raises(ConfigError, match="alpha must be a positive finite number, got 0"):
        LowRankLinear(Linear(7, 5), rank=2, alpha=0)
    with pytest.raises(
        ConfigError, match="no linear layer of a Recurrent is called query or value"
    ):
        add_adapters(make_body("recurrent"), rank=2, alpha=1.0)
    config = DecoderConfig.gpt(vocab_size=7, d_model=10, n_heads=5, n_kv_heads=1, n_layers=1)
    body = Decoder(config)
    with pytest.raises(ConfigError, match="rank must be from 1 to 2, the smaller side of a 2 × 10"):
        add_adapters(body, rank=3, alpha=1.0)  # the query would take it, the value does not
    assert all(parameter.requires_grad for parameter in body.parameters())
    assert not any(isinstance(layer, LowRankLinear) for layer in body.modules())
    add_adapters(body, rank=2, alpha=1.0)
    with pytest.raises(ConfigError, match="has adapters already"):
        add_adapters(body, rank=2, alpha=1.0)
    model = FineTuned(make_body("encoder"), CONFIG)
    with pytest.raises(ConfigError, match="adapters freeze the body"):
        model.freeze("embeddings")
