"""Transformers computes what we compute: logits, losses, gradients, generated tokens."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from minillm.batch import Batch
from minillm.generation import generate
from minillm.interop import ARCHITECTURES, from_transformers
from minillm.interop.names import to_theirs
from minillm.optim import decay_groups, make_optimizer
from minillm.training import train

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


@pytest.mark.parametrize(
    ("feed_forward", "dtype"),
    [
        ("gelu", torch.float32),
        ("gelu", torch.float64),
        ("relu", torch.float32),
        ("gelu_tanh", torch.float64),
    ],
)
def test_bert_gives_the_same_scores_losses_and_gradients(
    make_bert, batch, opened, dtype, feed_forward
):
    bert = make_bert(feed_forward=feed_forward).to(dtype)
    theirs = opened(bert, dtype)
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    given = {
        "input_ids": batch.inputs,
        "attention_mask": ~batch.is_padding,
        "token_type_ids": batch.segment_ids,
    }
    out = theirs(**given, labels=batch.targets, next_sentence_label=batch.labels)
    ours = bert(batch.inputs, segment_ids=batch.segment_ids, is_padding=batch.is_padding)
    real = ~batch.is_padding
    torch.testing.assert_close(ours[real], out.prediction_logits[real], **tolerance)
    torch.testing.assert_close(bert.label_logits(batch), out.seq_relationship_logits, **tolerance)
    counts = batch.n_scored()
    loss = sum(loss / counts[name] for name, loss in bert.loss_sums(batch).items())
    torch.testing.assert_close(loss, out.loss, **tolerance)
    loss.backward()
    out.loss.backward()
    _assert_equal_gradients(bert, theirs, "bert", tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_gpt2_gives_the_same_scores_losses_and_gradients(gpt2, batch, opened, dtype):
    gpt2 = gpt2.to(dtype)
    theirs = opened(gpt2, dtype)
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    real = ~batch.is_padding
    out = theirs(batch.inputs, attention_mask=real, labels=batch.inputs.masked_fill(~real, -100))
    ours = gpt2(batch.inputs, is_padding=batch.is_padding)
    torch.testing.assert_close(ours[real], out.logits[real], **tolerance)
    targets = batch.inputs[:, 1:].masked_fill(~real[:, 1:], -100)
    shifted = Batch(inputs=batch.inputs[:, :-1], targets=targets, is_padding=~real[:, :-1])
    loss = gpt2.loss_sums(shifted)["tokens"] / shifted.n_scored()["tokens"]
    their_loss = out.loss
    if dtype == torch.float64:  # GPT-2's own loss is float32 whatever its weights are
        their_loss = F.cross_entropy(out.logits[:, :-1].flatten(0, 1), targets.flatten())
    torch.testing.assert_close(loss, their_loss, **tolerance)
    loss.backward()
    their_loss.backward()
    _assert_equal_gradients(gpt2, theirs, "gpt2", tolerance)


def _assert_equal_gradients(ours, theirs, kind, tolerance):
    gradients = {name: parameter.grad for name, parameter in ours.named_parameters()}
    named = to_theirs(gradients, ARCHITECTURES[kind].name_table(ours.config))
    others = dict(theirs.named_parameters())
    assert set(named) == set(others)
    for name, gradient in named.items():
        torch.testing.assert_close(gradient, others[name].grad, msg=name, **tolerance)


@pytest.mark.parametrize("use_cache", [True, False])
def test_gpt2_writes_the_same_tokens(gpt2, opened, use_cache):
    theirs = opened(gpt2)
    prompt = torch.tensor([[5, 7, 11]])
    out = theirs.generate(
        prompt, max_new_tokens=9, do_sample=False, use_cache=use_cache, eos_token_id=None
    )
    ours = generate(gpt2, prompt.tolist(), max_new_tokens=9, temperature=0, use_cache=use_cache)
    assert ours[0] == out[0].tolist()


def test_padding_on_the_left_changes_no_score(gpt2, opened):
    theirs = opened(gpt2)
    row = torch.tensor([[0, 0, 5, 7, 11]])
    is_padding = torch.tensor([[True, True, False, False, False]])
    out = theirs(
        row, attention_mask=~is_padding, position_ids=torch.tensor([[0, 0, 0, 1, 2]])
    ).logits
    ours = gpt2(row, is_padding=is_padding)
    torch.testing.assert_close(ours[:, 2:], out[:, 2:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("use_cache", [True, False])
def test_padding_on_the_left_changes_no_written_token(make_gpt2, opened, write_both, use_cache):
    """They write all prompts at once, the shorter ones padded; we write each alone."""
    gpt2 = make_gpt2(tie_embeddings=False)  # tied, a model without training repeats itself
    padded, alone = write_both(gpt2, opened(gpt2), n_new=9, use_cache=use_cache)
    assert padded == alone
    assert len(set(map(tuple, alone))) == 3  # what they read makes a difference


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_five_more_steps_of_training_give_the_same_losses(name, fused, request, opened, make_batch):
    ours = request.getfixturevalue(name)
    theirs = opened(ours).train()
    optimizer = torch.optim.AdamW(decay_groups(theirs, 0.1), lr=0.01, betas=(0.9, 0.95))
    batches = [make_batch(seed) for seed in range(5)]
    if name == "gpt2":
        batches = [replace(batch, segment_ids=None, labels=None) for batch in batches]
    expected = []
    for batch in batches:
        optimizer.zero_grad()
        loss = _their_loss(theirs, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        expected.append(loss.item())
    own = make_optimizer(ours, name="adamw", learning_rate=0.01, weight_decay=0.1, fused=fused)
    found = [result.loss for result in train(ours, own, [[batch] for batch in batches])]
    assert found == pytest.approx(expected, rel=1e-5)


def _their_loss(theirs, batch):
    mask = ~batch.is_padding
    if batch.labels is None:
        shifted = {"labels": batch.targets, "shift_labels": batch.targets}  # shifted already
        return theirs(batch.inputs, attention_mask=mask, **shifted).loss
    return theirs(
        batch.inputs,
        attention_mask=mask,
        token_type_ids=batch.segment_ids,
        labels=batch.targets,
        next_sentence_label=batch.labels,
    ).loss


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_there_and_back_again_every_weight_is_the_same(name, request, opened, tmp_path):
    model = request.getfixturevalue(name)
    theirs = opened(model)
    for source in (tmp_path / "exported", theirs):
        back = from_transformers(source)
        assert back.config == model.config
        for key, parameter in model.named_parameters():
            assert torch.equal(back.get_parameter(key), parameter), key


def test_an_untied_gpt2_keeps_its_own_output_matrix(make_gpt2, opened):
    model = make_gpt2(tie_embeddings=False)
    theirs = opened(model)
    tokens = torch.tensor([[5, 7, 11]])
    torch.testing.assert_close(model(tokens), theirs(tokens).logits, rtol=1e-5, atol=1e-5)
