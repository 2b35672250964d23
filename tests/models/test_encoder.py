"""The encoder reads both ways, hides nothing it should see, and scores only what is asked."""

import math

import pytest
import torch
import torch.nn.functional as F

from minillm.batch import Batch
from minillm.config import EncoderConfig
from minillm.errors import ConfigError
from minillm.models.encoder import Encoder
from minillm.optim import make_optimizer
from minillm.training import train

V, B, T = 29, 3, 11
SIZES = {"vocab_size": V, "context_length": 13, "d_model": 10, "n_layers": 2, "n_heads": 5}


@pytest.fixture
def model():
    """An encoder whose every parameter matters, with all heads."""
    config = EncoderConfig.bert(**SIZES, n_segments=4, has_next_sentence_head=True, max_sentences=4)
    model = Encoder(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.eval()


@pytest.fixture
def token_ids():
    return torch.randint(0, V, (B, T), generator=torch.Generator().manual_seed(1))


def test_every_position_reads_every_other(model, token_ids):
    embedded = []
    hook = model.token_embedding.register_forward_hook(lambda *call: embedded.append(call[2]))
    logits = model(token_ids[:1])
    hook.remove()
    for position in range(T):
        (gradient,) = torch.autograd.grad(
            logits[0, position].square().sum(), embedded, retain_graph=True
        )
        assert bool((gradient[0].abs().sum(-1) > 0).all())


def test_padding_is_read_by_nobody(model, token_ids):
    is_padding = (torch.arange(T) >= 7).expand(B, T)
    other = token_ids.clone()
    other[:, 7:] = 5
    first = model(token_ids, is_padding=is_padding)[:, :7]
    assert torch.equal(first, model(other, is_padding=is_padding)[:, :7])
    torch.testing.assert_close(first, model(token_ids[:, :7]), rtol=1e-5, atol=1e-5)


def test_the_loss_of_the_hidden_tokens_is_that_of_all_scores(model, token_ids):
    targets = token_ids.masked_fill(torch.arange(T) % 4 != 1, -100)
    batch = Batch(inputs=token_ids, targets=targets)
    expected = F.cross_entropy(model(token_ids).flatten(0, 1), targets.flatten(), reduction="sum")
    torch.testing.assert_close(model.loss_sums(batch)["tokens"], expected)
    log_probs = model.log_probs(batch)
    torch.testing.assert_close(-log_probs.sum(), expected)
    assert bool((log_probs[targets == -100] == 0).all())


def test_nothing_scored_costs_nothing(model, token_ids):
    batch = Batch(inputs=token_ids, targets=torch.full_like(token_ids, -100))
    loss = model.loss_sums(batch)["tokens"]
    loss.backward()
    assert loss.item() == 0.0


def test_an_untrained_encoder_knows_nothing(token_ids):
    model = Encoder(EncoderConfig.bert(**SIZES, has_next_sentence_head=True))
    batch = Batch(inputs=token_ids, targets=token_ids, labels=torch.tensor([0, 1, 0]))
    sums = model.loss_sums(batch)
    spread = 768 * 0.02**2  # variance of the logits, at any width: it costs half of itself
    expected = math.log(V) + spread / 2
    assert sums["tokens"].item() / (B * T) == pytest.approx(expected, rel=0.02)
    assert sums["labels"].item() / B == pytest.approx(math.log(2), rel=0.1)  # of three pairs


@pytest.mark.parametrize("start", ["random", "sinusoids"])
def test_first_weights_are_as_wide_as_the_width_asks_for(start):
    """BERT's 0.02 at 768 columns; the root of the ratio more at fewer."""
    config = EncoderConfig.bert(
        vocab_size=499, d_model=48, n_heads=3, n_layers=1, context_length=97, position_start=start
    )
    model = Encoder(config)
    for weight in (
        model.token_embedding.weight,
        model.position_embedding.weight,
        model.blocks[0].attention.query.weight,
    ):
        assert weight.square().mean().sqrt().item() == pytest.approx(0.08, rel=0.05)
    same = torch.equal(
        model.position_embedding.weight[:, 1::2][0], torch.full((24,), 0.08 * 2**0.5)
    )
    assert same == (start == "sinusoids")
    with pytest.raises(ConfigError, match="even d_model"):
        EncoderConfig.bert(vocab_size=9, d_model=3, n_heads=1, position_start="sinusoids")


def test_segments_matter_and_no_segment_is_the_first(model, token_ids):
    zeros = torch.zeros_like(token_ids)
    assert torch.equal(model(token_ids), model(token_ids, segment_ids=zeros))
    assert not torch.allclose(model(token_ids), model(token_ids, segment_ids=zeros + 1))


def test_the_pointer_points_at_sentences_that_are_there(model, token_ids):
    segment_ids = torch.tensor([[0] * 4 + [1] * 4 + [2] * 3] * B)
    is_padding = (torch.arange(T) >= 8).expand(B, T)
    batch = Batch(
        inputs=token_ids,
        segment_ids=segment_ids,
        is_padding=is_padding,
        labels=torch.tensor([[1, 0, -100, -100]] * B),
    )
    scores = model.label_logits(batch)
    assert scores.shape == (B, 4, 4)
    assert bool(scores[:, :, 2:].isinf().all())
    assert bool(scores[:, :, :2].isfinite().all())
    loss = model.loss_sums(batch)["labels"]
    expected = -scores[:, :2].log_softmax(-1)[:, torch.arange(2), torch.tensor([1, 0])].sum()
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())


@pytest.mark.parametrize("head", ["tokens", "labels"])
def test_it_memorizes_one_batch(token_ids, head):
    model = Encoder(EncoderConfig.bert(**SIZES, has_next_sentence_head=True))
    hidden = token_ids.masked_fill(torch.arange(T) % 3 == 1, 0)
    batch = {
        "tokens": Batch(inputs=hidden, targets=token_ids.masked_fill(hidden != 0, -100)),
        "labels": Batch(inputs=token_ids, labels=torch.tensor([0, 1, 1])),
    }[head]
    optimizer = make_optimizer(model, name="adamw", learning_rate=0.02)
    results = list(train(model, optimizer, [[batch]] * 120))
    assert results[-1].losses[head] < 0.1 * results[0].losses[head]


def test_attention_weights_are_those_of_the_model(model, token_ids):
    is_padding = (torch.arange(T) >= 9).expand(B, T)
    weights = model.attention_weights(token_ids, is_padding=is_padding)
    assert weights.shape == (2, B, 5, T, T)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, B, 5, T))
    assert bool((weights[..., 9:] == 0).all())
    assert bool((weights[..., :9] > 0).all())


def test_backends_agree(model, token_ids):
    first = model(token_ids)
    model.set_backend("reference")
    torch.testing.assert_close(model(token_ids), first, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: m(x[0]), r"token_ids must be \(B, T\)"),
        (lambda m, x: m(torch.cat([x, x], 1)), "22 tokens are more than context_length=13"),
        (lambda m, x: m(x, segment_ids=x[:, :2]), "segment_ids .* must have the shape"),
        (lambda m, x: m.log_probs(Batch(inputs=x)), r"needs batch\.targets"),
        (
            lambda m, x: m.loss_sums(Batch(inputs=x, labels=torch.zeros(B, 4, dtype=torch.long))),
            "no head for the batch's labels",
        ),
    ],
)
def test_what_does_not_fit_is_refused(model, token_ids, call, message):
    with pytest.raises(ValueError, match=message):
        call(model, token_ids)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_heads": 3}, "n_heads=3 must divide d_model=10"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"max_sentences": 1}, "max_sentences must be 0"),
        ({"n_segments": 0}, "n_segments must be positive"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        EncoderConfig.bert(**(SIZES | changes))
