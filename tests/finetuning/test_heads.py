"""The heads read what they should, and padding changes nothing, on either side."""

import math

import pytest
import torch
import torch.nn.functional as F

from minillm.batch import IGNORE_INDEX, Batch
from minillm.config import DecoderConfig, NgramConfig
from minillm.errors import ConfigError
from minillm.finetuning.heads import answer_positions, pool, valid_edges
from minillm.finetuning.model import FineTuned, TaskConfig
from minillm.models.decoder import Decoder
from minillm.models.ngram import Ngram

KINDS = ("encoder", "decoder", "recurrent", "encoder_decoder", "bidirectional")
B, T = 3, 11
LENGTHS = [7, 11, 5]
CONFIGS = {
    "classify": TaskConfig(task="classify", labels=("a", "b", "c", "d"), max_tokens=31),
    "tag": TaskConfig(task="tag", labels=("O", "B-X", "I-X", "B-Y", "I-Y"), max_tokens=31),
    "qa": TaskConfig(task="qa", max_tokens=31),
}


@pytest.fixture
def batch():
    """Rows of 7, 11 and 5 tokens whose context begins at the fourth one."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (B, T), generator=generator)
    is_padding = torch.arange(T) >= torch.tensor(LENGTHS)[:, None]
    segment_ids = (torch.arange(T) >= 3).long().expand(B, T) * ~is_padding
    return Batch(inputs=inputs, is_padding=is_padding, segment_ids=segment_ids)


def row_alone(batch, row):
    length = LENGTHS[row]
    return Batch(
        inputs=batch.inputs[row : row + 1, :length],
        segment_ids=batch.segment_ids[row : row + 1, :length],
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", CONFIGS)
@pytest.mark.parametrize("pooling", ["auto", "first", "last", "mean"])
def test_padding_changes_nothing(make_body, batch, kind, task, pooling):
    if pooling != "auto" and task != "classify":
        return
    options = {"pooling": pooling, "labels": CONFIGS[task].labels}
    config = TaskConfig(task=task, max_tokens=31, **options)
    model = FineTuned(make_body(kind), config).eval()
    logits = model(batch)
    for row, length in enumerate(LENGTHS):
        alone = model(row_alone(batch, row))[0]
        together = logits[row]
        if task == "tag":
            together = together[:length]
        if task == "qa":
            assert bool(together[:, length:].eq(-math.inf).all())
            together = together[:, :length]
        torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_pooling_by_a_slow_loop():
    generator = torch.Generator().manual_seed(2)
    hidden = torch.randn(5, 7, 3, generator=generator)
    is_padding = torch.zeros(5, 7, dtype=torch.bool)
    is_padding[0, :3] = is_padding[1, 4:] = is_padding[2, 0] = is_padding[2, 6] = True
    is_padding[4, 1:] = True
    for mask in (is_padding, None):
        for row in range(5):
            valid = [t for t in range(7) if mask is None or not mask[row, t]]
            assert torch.equal(pool(hidden, mask, "first")[row], hidden[row, valid[0]])
            assert torch.equal(pool(hidden, mask, "last")[row], hidden[row, valid[-1]])
            mean = sum(hidden[row, t] for t in valid) / len(valid)
            torch.testing.assert_close(pool(hidden, mask, "mean")[row], mean)
    poisoned = hidden.masked_fill(is_padding[..., None], math.nan)
    assert torch.equal(pool(poisoned, is_padding, "mean"), pool(hidden, is_padding, "mean"))
    assert not bool(pool(hidden, torch.ones(5, 7, dtype=torch.bool), "mean").isnan().any())
    first, last = valid_edges(is_padding, like=hidden)
    assert (first.tolist(), last.tolist()) == ([3, 0, 1, 0, 0], [6, 3, 5, 6, 0])


def test_a_class_is_read_where_everything_was(make_body, batch):
    for kind, position in (("encoder", 0), ("decoder", LENGTHS[0] - 1), ("recurrent", 6)):
        body = make_body(kind)
        model = FineTuned(body, CONFIGS["classify"]).eval()
        arguments = {"is_padding": batch.is_padding}
        if kind == "encoder":
            arguments["segment_ids"] = batch.segment_ids
        hidden = body.hidden(batch.inputs, **arguments)
        torch.testing.assert_close(model(batch)[0], model.head.scores(hidden[0, position]))


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_stands_in_the_context_or_nowhere(make_body, batch, kind):
    model = FineTuned(make_body(kind), CONFIGS["qa"]).eval()
    allowed = model(batch).isfinite()
    none = [0, 0, 0] if kind.startswith("encoder") else [6, 10, 4]
    assert model.no_answer_positions(batch).tolist() == none
    for row, length in enumerate(LENGTHS):
        wanted = {*range(3, length - 1), none[row]}
        for scores in allowed[row]:
            assert {*scores.nonzero()[:, 0].tolist()} == wanted
    inside = answer_positions(batch.segment_ids, batch.is_padding)
    assert [row.nonzero()[:, 0].tolist() for row in inside] == [[3, 4, 5], [*range(3, 10)], [3]]


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        ("classify", torch.tensor([3, 0, IGNORE_INDEX])),
        ("tag", torch.tensor([[IGNORE_INDEX, 4, 1, 0] + [IGNORE_INDEX] * 7] * B)),
        ("qa", torch.tensor([[3, 5], [0, 0], [3, 3]])),
    ],
)
def test_the_loss_is_pytorchs_cross_entropy(make_body, batch, task, labels):
    model = FineTuned(make_body("encoder"), CONFIGS[task]).eval()
    batch = Batch(inputs=batch.inputs, is_padding=batch.is_padding,
                  segment_ids=batch.segment_ids, labels=labels)  # fmt: skip
    logits = model(batch)
    expected = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="sum")
    assert model.loss_sums(batch).keys() == batch.n_scored().keys()
    torch.testing.assert_close(model.loss_sums(batch)["labels"], expected)
    log_probs = model.log_probs(batch)
    assert log_probs.shape == labels.shape
    torch.testing.assert_close(-log_probs.sum(), expected)
    assert bool((log_probs[labels == IGNORE_INDEX] == 0).all())


def test_an_untrained_head_knows_nothing(make_body, batch):
    for task, n_labels in (("classify", 4), ("tag", 5)):
        labels = torch.zeros(B if task == "classify" else (B, T), dtype=torch.int64)
        model = FineTuned(make_body("encoder"), CONFIGS[task]).eval()
        batch_of = Batch(inputs=batch.inputs, segment_ids=batch.segment_ids, labels=labels)
        loss = model.loss_sums(batch_of)["labels"].item() / labels.numel()
        assert loss == pytest.approx(math.log(n_labels), rel=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_freezing_lets_only_the_rest_learn(make_body, batch, kind):
    body = make_body(kind)
    model = FineTuned(body, CONFIGS["classify"])
    given = Batch(inputs=batch.inputs, is_padding=batch.is_padding,
                  segment_ids=batch.segment_ids, labels=torch.tensor([0, 1, 2]))  # fmt: skip
    for what in ("none", "embeddings", "body"):
        model.freeze(what)
        model.zero_grad()
        model.loss_sums(given)["labels"].backward()
        learning = {name for name, p in model.named_parameters() if p.grad is not None}
        assert learning == {name for name, p in model.named_parameters() if p.requires_grad}
        assert {"head.scores.weight", "head.scores.bias"} <= learning
        embeddings = {name for name in learning if "embedding" in name}
        assert bool(embeddings) == (what == "none")
        others = {name for name in learning if name.startswith("body.")} - embeddings
        assert bool(others) == (what != "body")
    width = 20 if kind == "bidirectional" else 10
    assert model.n_trainable() == width * 4 + 4


def test_an_encoder_decoder_is_read_by_its_encoder(make_body, batch):
    body = make_body("encoder_decoder")
    hidden = body.encoder(
        body.token_embedding(batch.inputs), source_mask=~batch.is_padding[:, None, None]
    )
    model = FineTuned(body, CONFIGS["classify"]).eval()
    torch.testing.assert_close(model(batch), model.head.scores(hidden[:, 0]))


def test_two_directions_make_vectors_of_twice_the_width(make_body, batch):
    body = make_body("bidirectional")
    model = FineTuned(body, CONFIGS["classify"]).eval()
    row = batch.inputs[:1, : LENGTHS[0]]
    ahead = body.forward_half.hidden(row)
    back = body.backward_half.hidden(row.flip(1)).flip(1)
    wanted = model.head.scores(torch.cat([ahead, back], dim=-1)[:, -1])
    torch.testing.assert_close(model(batch)[:1], wanted)


def test_tied_embeddings_still_learn():
    config = DecoderConfig.gpt(vocab_size=13, d_model=10, n_heads=5, n_layers=1)
    model = FineTuned(Decoder(config), TaskConfig(task="qa", max_tokens=7))
    assert model.body.token_embedding.weight.requires_grad


def test_refusals(make_body, batch):
    with pytest.raises(ConfigError, match="Ngram cannot be fine-tuned, only: Encoder"):
        FineTuned(Ngram(NgramConfig(vocab_size=11)), CONFIGS["qa"])
    with pytest.raises(
        ConfigError, match="max_tokens=62 is more than the body's context_length=61"
    ):
        FineTuned(make_body("encoder"), TaskConfig(task="qa", max_tokens=62))
    model = FineTuned(make_body("encoder"), CONFIGS["qa"])
    with pytest.raises(ConfigError, match="freeze must be none, embeddings or body, got 'head'"):
        model.freeze("head")
    with pytest.raises(ValueError, match="needs segment_ids"):
        model(Batch(inputs=batch.inputs))
    with pytest.raises(ValueError, match=r"needs batch\.labels"):
        model.loss_sums(batch)
    for fields, message in (
        ({"task": "ner"}, "task must be one of"),
        ({"task": "classify"}, "classify needs labels that differ"),
        ({"task": "tag", "labels": ("O", "O")}, "tag needs labels that differ"),
        ({"task": "qa", "labels": ("O",)}, "qa needs no labels"),
        ({"task": "qa", "max_tokens": 4}, "max_tokens must be at least 5"),
        ({"task": "qa", "pooling": "max"}, "pooling must be"),
        ({"task": "qa", "lora_rank": 0}, "lora_rank must be positive"),
    ):
        with pytest.raises(ConfigError, match=message):
            TaskConfig(**fields)
