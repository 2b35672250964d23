import itertools
import math

import pytest
import torch

from minillm.batch import IGNORE_INDEX, Batch
from minillm.checkpoint import load_weights, model_tensors
from minillm.config import BidirectionalConfig
from minillm.evaluation import evaluate_documents
from minillm.generation import generate
from minillm.models.bidirectional import Bidirectional
from minillm.objectives.bidirectional import backward_batch, bidirectional_batch
from minillm.optim import make_optimizer
from minillm.training import train

B, T, V, C, L = 3, 7, 11, 5, 2
BOS, EOS = 0, 1


@pytest.fixture(params=["lstm", "rnn"])
def model(request):
    return make_model(cell=request.param)


def make_model(**changes):
    """Give the model large weights, so that every part shows in the output."""
    config = BidirectionalConfig(**{"vocab_size": V, "d_model": C, "n_layers": L, **changes})
    generator = torch.Generator().manual_seed(0)
    model = Bidirectional(config, generator=generator).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return model


def random_text(n_tokens, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, V, (n_tokens,), generator=generator).tolist()


def text_batch(*texts):
    n = max(map(len, texts)) - 1
    inputs = torch.full((len(texts), n), 3)
    targets = torch.full((len(texts), n), IGNORE_INDEX)
    is_padding = torch.ones((len(texts), n), dtype=torch.bool)
    for row, text in enumerate(texts):
        inputs[row, : len(text) - 1] = torch.tensor(text[:-1])
        targets[row, : len(text) - 1] = torch.tensor(text[1:])
        is_padding[row, : len(text) - 1] = False
    return Batch(inputs=inputs, targets=targets, is_padding=is_padding)


def slow_log_probs(half, text):
    """Score text[1:] one by one, each given the tokens before it in the list."""
    found = []
    for t in range(1, len(text)):
        log_probs = half(torch.tensor([text[:t]]))[0, -1].log_softmax(-1)
        found.append(log_probs[text[t]].item())
    return found


TEXTS = [[BOS, *random_text(5), EOS], [BOS, EOS], [BOS, *random_text(2, 1), EOS]]


def test_each_token_is_scored_from_both_sides(model):
    forward, backward = model.direction_log_probs(text_batch(*TEXTS))
    for row, text in enumerate(TEXTS):
        n = len(text) - 1
        left = slow_log_probs(model.forward_half, text)
        right = slow_log_probs(model.backward_half, text[::-1])  # last token but one … bos
        beside = [*right[-2::-1], right[-1]]  # x_1 … x_n, then bos in the place of eos
        torch.testing.assert_close(forward[row, :n].tolist(), left)
        torch.testing.assert_close(backward[row, :n].tolist(), beside)
        assert not forward[row, n:].any()
        assert not backward[row, n:].any()


def test_padding_and_company_change_nothing(model):
    together = model.direction_log_probs(text_batch(*TEXTS))
    for row, text in enumerate(TEXTS):
        alone = model.direction_log_probs(text_batch(text))
        for both, one in zip(together, alone, strict=True):
            torch.testing.assert_close(both[row, : len(text) - 1], one[0])


def influences(model, batch):
    """Return for both directions how much each text token moves the logits of each target."""
    kept, found = [], []
    hook = model.forward_half.token_embedding.register_forward_hook(
        lambda *call: kept.append(call[2])
    )
    logits = model.direction_logits(batch)
    hook.remove()
    for direction, embedded in zip(logits, kept, strict=True):
        rows = [
            torch.autograd.grad(direction[:, t].square().sum(), embedded, retain_graph=True)[0]
            for t in range(direction.shape[1])
        ]
        found.append(torch.stack(rows, dim=1).norm(dim=-1))  # (B, T targets, T read)
    return found


def test_logits_that_score_a_token_do_not_depend_on_it(model):
    texts = [[BOS, *random_text(T - 1), EOS], [BOS, *random_text(3, 1), EOS]]
    forward, backward = influences(model, text_batch(*texts))
    for row, text in enumerate(texts):
        n = len(text) - 1
        for t in range(n):
            # The forward half reads text[0], text[1], …; target t is text[t + 1].
            assert [s for s in range(T) if forward[row, t, s] > 0] == list(range(t + 1))
            # The backward half reads text[n], text[n − 1], …; its place s holds text[n − s].
            read = [n - s for s in range(T) if backward[row, t, s] > 0]
            scored = 0 if t == n - 1 else t + 1
            assert read == list(range(n, scored, -1))
    assert not forward[1, 4:].any()
    assert not backward[1, 4:].any()


def test_each_direction_distributes_exactly_one(model):
    """All texts of three tokens, given the token at which the reading begins."""
    small = make_model(vocab_size=5, cell=model.config.cell)
    texts = torch.tensor(list(itertools.product(range(5), repeat=3)))
    fixed = torch.full((len(texts), 1), 2)
    from_left = bidirectional_batch(torch.cat([fixed, texts], dim=1))
    from_right = bidirectional_batch(torch.cat([texts, fixed], dim=1))
    forward, _ = small.direction_log_probs(from_left)
    _, backward = small.direction_log_probs(from_right)
    assert forward.sum(1).exp().sum().item() == pytest.approx(1, abs=1e-9)
    assert backward.sum(1).exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_losses_are_the_sums_of_the_log_probs(model):
    batch = text_batch(*TEXTS)
    forward, backward = model.direction_loss_sums(batch)
    halves = model.direction_log_probs(batch)
    torch.testing.assert_close(forward, -halves[0].sum(), check_dtype=False)
    torch.testing.assert_close(backward, -halves[1].sum(), check_dtype=False)
    assert abs(forward - backward) > 0.1
    log_probs = model.log_probs(batch)
    torch.testing.assert_close(log_probs, (halves[0] + halves[1]) / 2)
    loss = model.loss_sums(batch)["tokens"]
    torch.testing.assert_close(loss, -log_probs.sum(), check_dtype=False)
    assert backward_batch(batch).n_scored() == batch.n_scored()


def test_exchanging_the_halves_mirrors_the_text(model):
    text = [2, *random_text(T), 2]  # the same token at both ends
    forward, backward = model.direction_loss_sums(text_batch(text))
    model.forward_half, model.backward_half = model.backward_half, model.forward_half
    mirrored = model.direction_loss_sums(text_batch(text[::-1]))
    torch.testing.assert_close(mirrored, (backward, forward))


def test_packed_documents_are_read_one_by_one(model):
    first, second = [BOS, *random_text(3), EOS], [BOS, *random_text(2, 1), EOS]
    batch = bidirectional_batch(torch.tensor([[*first, *second]]), bos_id=BOS)
    documents = (batch.inputs == BOS).cumsum(dim=1)
    packed = Batch(inputs=batch.inputs, targets=batch.targets, document_ids=documents)
    for half, (one, other) in zip(
        model.direction_log_probs(packed),
        zip(
            *(model.direction_log_probs(text_batch(text)) for text in (first, second)), strict=True
        ),
        strict=True,
    ):
        torch.testing.assert_close(half[0, :4], one[0])
        assert half[0, 4] == 0  # from the eos to the next bos
        torch.testing.assert_close(half[0, 5:], other[0])


def test_windows_of_a_long_text_score_each_token_once_from_each_side(model):
    text = [BOS, *random_text(2 * T), EOS]
    evaluation = evaluate_documents(model, [text], n_bytes=1, context_length=T)
    assert evaluation.n_tokens == len(text) - 1
    whole = evaluate_documents(model, [text], n_bytes=1)
    forward, backward = slow_log_probs(model.forward_half, text), slow_log_probs(
        model.backward_half, text[::-1]
    )  # fmt: skip
    assert whole.loss_sum == pytest.approx(-(sum(forward) + sum(backward)) / 2)


def test_the_halves_share_embedding_and_output_and_nothing_else():
    for tied, n_matrices in ((True, 1), (False, 2)):
        model = make_model(tie_embeddings=tied)
        layers = 2 * L * (2 * 4 * C * C + 2 * 4 * C)
        assert model.n_parameters() == n_matrices * V * C + layers
    ahead, back = model.forward_half.layers.state_dict(), model.backward_half.layers.state_dict()
    assert not any(torch.equal(ahead[name], back[name]) for name in ahead)


def test_weights_survive_a_checkpoint(model):
    other = Bidirectional(model.config).double()
    load_weights(other, model_tensors(model))
    batch = text_batch(*TEXTS)
    torch.testing.assert_close(other.log_probs(batch), model.log_probs(batch), atol=0, rtol=0)


def test_representations_hold_all_layers_of_both_halves(model):
    text = random_text(T)
    layers = model.representations(torch.tensor([text]))
    assert layers.shape == (L + 1, 1, T, 2 * C)
    embedded = model.forward_half.token_embedding.weight[text]
    torch.testing.assert_close(layers[0, 0], torch.cat([embedded, embedded], dim=-1))
    ahead, _ = model.forward_half.read(torch.tensor([text]))
    back, _ = model.backward_half.read(torch.tensor([text[::-1]]))
    torch.testing.assert_close(layers[-1, 0, :, :C], ahead[0])
    torch.testing.assert_close(layers[-1, 0, :, C:], back[0].flip(0))
    assert not torch.allclose(layers[1], layers[2])


def test_padding_changes_no_representation(model):
    short = random_text(4)
    token_ids = torch.tensor([random_text(T, 1), [*short, 2, 2, 2]])
    is_padding = torch.arange(T) >= torch.tensor([[T], [4]])
    layers = model.representations(token_ids, is_padding)
    torch.testing.assert_close(layers[:, 1:, :4], model.representations(torch.tensor([short])))
    with pytest.raises(ValueError, match="padding on the right only"):
        model.representations(token_ids, is_padding.flip(1))


def test_it_writes_with_the_forward_half(model):
    prompt = [BOS, *random_text(3)]
    written = generate(model, [prompt], max_new_tokens=5, temperature=0)
    assert written == generate(model.forward_half, [prompt], max_new_tokens=5, temperature=0)


def test_it_begins_at_ln_v_and_memorizes_a_text_from_both_sides():
    config = BidirectionalConfig.lstm(vocab_size=V, d_model=16)
    model = Bidirectional(config)
    batch = bidirectional_batch(torch.tensor([[BOS, *random_text(T), EOS]]))
    optimizer = make_optimizer(model, name="adamw", learning_rate=0.03, weight_decay=0.0)
    results = list(train(model, optimizer, [[batch]] * 120))
    assert results[0].loss == pytest.approx(math.log(V), abs=0.1)
    with torch.no_grad():
        assert max(model.direction_loss_sums(batch)) / batch.n_scored()["tokens"] < 0.1
