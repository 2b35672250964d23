import math

import pytest
import torch
from torch import nn

from minillm.config import DecoderConfig
from minillm.health import attention_entropy, logit_lens, watch
from minillm.models.decoder import Decoder
from minillm.objectives.causal import causal_batch
from minillm.optim import make_optimizer
from minillm.training import train

V, T, L, H = 31, 7, 3, 2
CONFIGS = {
    "gpt": DecoderConfig.gpt(vocab_size=V, d_model=8, n_heads=H, n_layers=L, dropout=0.5),
    "llama": DecoderConfig.llama(vocab_size=V, d_model=8, n_heads=H, n_layers=L),
    "original": DecoderConfig.gpt(
        vocab_size=V, d_model=8, n_heads=H, n_layers=L, norm_position="post"
    ),
}


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def batch(generator):
    return causal_batch(torch.randint(V, (2, T + 1), generator=generator))


@pytest.fixture(params=CONFIGS)
def model(request, generator):
    return Decoder(CONFIGS[request.param], generator=generator)


def rms(x):
    return math.sqrt(sum(value**2 for value in x.flatten().tolist()) / x.numel())


def test_a_linear_layer_by_hand(generator):
    layer = nn.Linear(3, 2, bias=False)
    nn.init.normal_(layer.weight, generator=generator)
    before = layer.weight.detach().clone()
    x = torch.randn(2, 5, 3, generator=generator)
    with watch(layer) as health:
        outputs = [layer(x[0]), layer(x[1, :1])]  # pooled over 12 numbers, not a mean of means
        sum(out.sum() for out in outputs).backward()
        torch.optim.SGD(layer.parameters(), lr=0.1).step()
    (found,) = health.values()
    assert found.activation == pytest.approx(rms(torch.cat(outputs)), rel=1e-6)
    assert found.gradient == pytest.approx(rms(layer.weight.grad), rel=1e-6)
    assert found.update == pytest.approx(0.1 * rms(layer.weight.grad) / rms(before), rel=1e-5)


def test_a_training_step_is_measured_layer_by_layer(model, batch):
    optimizer = make_optimizer(model, name="adamw", learning_rate=0.01, weight_decay=0.0)
    with watch(model) as health:
        assert health == {}
        list(train(model, optimizer, [[batch]]))
    assert next(iter(health)) == "token_embedding"
    assert "blocks.2.feed_forward.down" in health
    assert ("unembedding" in health) != model.config.tie_embeddings
    for name, layer in health.items():
        assert layer.gradient > 0, name
        if name == "unembedding":  # the fused loss calls no module
            assert math.isnan(layer.activation)
        else:
            assert layer.activation > 0, name
    down = model.blocks[2].feed_forward.down
    assert health["blocks.2.feed_forward.down"].gradient == pytest.approx(
        rms(torch.cat([p.grad.flatten() for p in down.parameters()])), rel=1e-5
    )


def test_watching_changes_nothing(model, batch, generator):
    def losses(watched):
        twin = Decoder(model.config, generator=torch.Generator().manual_seed(1))
        optimizer = make_optimizer(twin, name="adamw", learning_rate=0.01)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            results = train(twin, optimizer, [[batch]] * 3)
            if watched:
                with watch(twin):
                    return [result.loss for result in results]
            return [result.loss for result in results]

    assert losses(watched=True) == losses(watched=False)
    with pytest.raises(KeyError), watch(model):
        raise KeyError
    assert not any(module._forward_hooks for module in model.modules())


def test_what_was_not_measured_is_nan():
    layer = nn.Linear(2, 2)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    with watch(layer) as health:
        pass
    assert all(math.isnan(value) for value in health[""])


def test_entropy_equals_a_slow_loop(generator):
    weights = torch.rand(L, 2, H, 5, 7, generator=generator)
    weights[:, :, :, :, 3] = 0.0  # hidden: 0 ln 0 is 0
    weights = weights / weights.sum(dim=-1, keepdim=True)
    weights[1, 0, 0, 2] = 0.0  # a row that reads nothing is not averaged
    found = attention_entropy(weights)
    assert found.shape == (L, H)
    for layer in range(L):
        for head in range(H):
            rows = [row.tolist() for row in weights[layer, :, head].reshape(-1, 7)]
            entropies = [-sum(w * math.log(w) for w in row if w) for row in rows if any(row)]
            expected = sum(entropies) / len(entropies)
            assert found[layer, head].item() == pytest.approx(expected, rel=1e-5)


def test_entropy_lies_between_one_key_and_all_alike():
    assert attention_entropy(torch.eye(5).expand(1, 1, 1, 5, 5)).item() == 0.0
    alike = torch.full((1, 1, 1, 3, 5), 0.2)
    assert attention_entropy(alike).item() == pytest.approx(math.log(5))
    assert math.isnan(attention_entropy(torch.zeros(1, 1, 1, 3, 5)).item())


def test_the_last_lens_is_the_model_itself(model, batch):
    model.train()
    logits = logit_lens(model, batch.inputs)
    assert model.training
    assert logits.shape == (L + 1, 2, T, V)
    assert torch.equal(logits[-1], model.eval()(batch.inputs))
    assert not any(b._forward_hooks or b._forward_pre_hooks for b in model.blocks)
    logit_lens(model, batch.inputs)
    assert not model.training


def test_each_lens_is_a_model_cut_after_that_layer(model, batch):
    logits = logit_lens(model, batch.inputs)
    model.eval()
    for n_layers in range(L, -1, -1):
        model.blocks = model.blocks[:n_layers]
        torch.testing.assert_close(logits[n_layers], model(batch.inputs))
