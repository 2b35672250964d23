import itertools
import math

import pytest
import torch
from torch import nn

from minillm.batch import IGNORE_INDEX, Batch
from minillm.config import NeuralNgramConfig, RecurrentConfig
from minillm.errors import ConfigError
from minillm.evaluation import evaluate_documents
from minillm.generation import generate
from minillm.models.neural_ngram import NeuralNgram
from minillm.models.recurrent import Recurrent

B, T, V, C = 3, 11, 31, 7


def make_rnn(generator=None, **changes):
    config = RecurrentConfig.rnn(vocab_size=V, n_layers=2, **({"d_model": C} | changes))
    return Recurrent(config, generator=generator)


def make_lstm(generator=None, **changes):
    config = RecurrentConfig.lstm(vocab_size=V, n_layers=2, **({"d_model": C} | changes))
    return Recurrent(config, generator=generator)


def make_ngram(generator=None, **changes):
    config = NeuralNgramConfig(vocab_size=V, order=4, d_ff=13, **({"d_model": 5} | changes))
    return NeuralNgram(config, generator=generator)


def make_direct(generator=None, **changes):
    return make_ngram(generator, direct_connections=True, **changes)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(params=[make_rnn, make_lstm, make_ngram, make_direct])
def make(request):
    return request.param


@pytest.fixture
def model(make, generator):
    """Give the model large weights, so that every part shows in the output."""
    model = make(generator).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


@pytest.fixture
def token_ids(generator):
    return torch.randint(V, (B, T), generator=generator)


def next_batch(token_ids, **fields):
    targets = token_ids.roll(-1, dims=1)
    targets[:, -1] = IGNORE_INDEX
    return Batch(inputs=token_ids, targets=targets, **fields)


def test_the_future_cannot_change_the_past(model, token_ids):
    expected = model(token_ids)
    for t in range(1, T):
        changed = token_ids.clone()
        changed[:, t:] = (changed[:, t:] + 1) % V
        logits = model(changed)
        torch.testing.assert_close(logits[:, :t], expected[:, :t])
        assert not torch.allclose(logits[:, t], expected[:, t])


def test_steps_with_a_state_equal_the_whole_text(model, token_ids):
    expected = model(token_ids).log_softmax(dim=-1)
    state = None
    for start, stop in ((0, 4), (4, 5), (5, 7), (7, 11)):
        log_probs, state = model.next_log_probs(token_ids[:, start:stop], state)
        torch.testing.assert_close(log_probs, expected[:, stop - 1].float())


def test_padding_on_either_side_changes_nothing(model, token_ids):
    lengths = (11, 5, 8)
    for side in ("left", "right"):
        inputs, is_padding = torch.zeros_like(token_ids), torch.ones_like(token_ids).bool()
        for row, n in enumerate(lengths):
            columns = slice(0, n) if side == "right" else slice(T - n, T)
            inputs[row, columns] = token_ids[row, :n]
            is_padding[row, columns] = False
        logits = model(inputs, is_padding=is_padding)
        for row, n in enumerate(lengths):
            columns = slice(0, n) if side == "right" else slice(T - n, T)
            alone = model(token_ids[row : row + 1, :n])[0]
            torch.testing.assert_close(logits[row, columns], alone)


def test_what_is_all_padding_is_finite(model, token_ids):
    assert model(token_ids, is_padding=torch.ones_like(token_ids).bool()).isfinite().all()


def test_packed_documents_do_not_read_each_other(model, token_ids):
    document_ids = torch.tensor([[0] * 4 + [1] * 7, [5] * 1 + [2] * 5 + [0] * 5, [3] * 11])
    logits = model(token_ids, document_ids=document_ids)
    for row, cuts in enumerate(((0, 4, 11), (0, 1, 6, 11), (0, 11))):
        for start, stop in itertools.pairwise(cuts):
            alone = model(token_ids[row : row + 1, start:stop])[0]
            torch.testing.assert_close(logits[row, start:stop], alone)


def test_log_probs_are_the_softmax_and_sum_to_the_loss(model, token_ids):
    batch = next_batch(token_ids)
    log_probs = model.log_probs(batch)
    torch.testing.assert_close(-log_probs.sum(), model.loss_sums(batch)["tokens"])
    softmax = model(token_ids).log_softmax(dim=-1)
    for b in range(B):
        assert log_probs[b, -1] == 0
        for t in range(T - 1):
            assert log_probs[b, t].item() == pytest.approx(
                softmax[b, t, token_ids[b, t + 1]].item()
            )


def test_a_long_text_is_scored_in_pieces(model, generator):
    token_ids = torch.randint(V, (1, 523), generator=generator)
    batch = next_batch(token_ids)
    torch.testing.assert_close(-model.log_probs(batch).sum(), model.loss_sums(batch)["tokens"])


def test_every_parameter_has_a_gradient(model, token_ids):
    model.loss_sums(next_batch(token_ids))["tokens"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().max() > 1e-8, name


def test_initial_loss_is_ln_v(make, token_ids):
    batch = next_batch(token_ids)
    for seed in range(5):
        model = make(torch.Generator().manual_seed(seed))
        loss = model.loss_sums(batch)["tokens"].item() / batch.n_scored()["tokens"]
        assert loss == pytest.approx(math.log(V), abs=0.1)


def test_fresh_weights_come_from_the_generator(make):
    def weights(generator=None):
        return nn.utils.parameters_to_vector(make(generator).parameters())

    torch.manual_seed(3)
    first = weights()
    torch.manual_seed(4)
    assert torch.equal(weights(), first)
    assert not torch.equal(weights(torch.Generator().manual_seed(1)), first)


def test_a_batch_is_memorized(make, token_ids, generator):
    model, batch = make(generator, d_model=29), next_batch(token_ids)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    loss = torch.tensor(math.inf)
    for _ in range(150):
        loss = model.loss_sums(batch)["tokens"] / batch.n_scored()["tokens"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2


def test_dropout_acts_in_training_only(make, token_ids, generator):
    model = make(generator, dropout=0.5)
    torch.manual_seed(0)
    assert not torch.equal(model(token_ids), model(token_ids))
    model.eval()
    assert torch.equal(model(token_ids), model(token_ids))


def test_it_writes_with_and_without_its_state(model):
    options = {"max_new_tokens": 9, "temperature": 0.0}
    written = generate(model, [[1, 2, 3]], **options)
    assert written == generate(model, [[1, 2, 3]], **options, use_cache=False)
    ids = [1, 2, 3]
    for _ in range(9):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    assert written[0][-9:] == ids[3:]


def test_a_document_of_any_length_is_evaluated(model, generator):
    documents = [torch.randint(V, (n,), generator=generator).tolist() for n in (5, 301, 17)]
    result = evaluate_documents(model, documents, n_bytes=320, batch_size=2)
    total = sum(
        -model(torch.tensor([ids]))[0, :-1]
        .log_softmax(dim=-1)
        .gather(1, torch.tensor(ids[1:])[:, None])
        .sum()
        .item()
        for ids in documents
    )
    assert result.bits_per_byte == pytest.approx(total / math.log(2) / 320, rel=1e-5)


def test_what_does_not_fit_is_refused(model, token_ids):
    with pytest.raises(ValueError, match=r"needs batch\.targets"):
        model.loss_sums(Batch(inputs=token_ids))
    with pytest.raises(ValueError, match="at least one token"):
        model.next_log_probs(token_ids[:, :0])
    with pytest.raises(ValueError, match=r"token_ids must be \(B, T\)"):
        model(token_ids[0])
    with pytest.raises(ValueError, match=r"is_padding \(2, 11\) must have the shape"):
        model(token_ids, is_padding=torch.zeros(2, T).bool())


@pytest.mark.parametrize("make", [make_rnn, make_lstm])
def test_backends_agree(make, token_ids, generator):
    model = make(generator).double()
    expected = model(token_ids)
    model.set_recurrent_backend("reference")
    torch.testing.assert_close(model(token_ids), expected)


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_of_an_lstm(tied):
    n_layer = 4 * (2 * C * C + 2 * C)  # four gates, each with two matrices and two biases
    n_embeddings = V * C * (1 if tied else 2)
    assert make_lstm(tie_embeddings=tied).n_parameters() == n_embeddings + 2 * n_layer


def test_gradients_reach_the_state(token_ids, generator):
    model = make_lstm(generator)
    _, state = model.read(token_ids[:, :5])
    hidden, _ = model.read(token_ids[:, 5:], state)
    (gradient,) = torch.autograd.grad(hidden[:, -1].sum(), state[0][1])
    assert gradient.abs().min() > 0


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (RecurrentConfig, {"cell": "gru"}, "cell must be rnn or lstm, got 'gru'"),
        (RecurrentConfig, {"d_model": 0}, "d_model must be positive"),
        (RecurrentConfig, {"dropout": 1.0}, "dropout must be in"),
        (NeuralNgramConfig, {"order": 1}, "order must be 2 or more"),
        (NeuralNgramConfig, {"d_ff": 0}, "d_ff must be positive"),
    ],
)
def test_settings_that_cannot_be_are_refused(config, changes, message):
    with pytest.raises(ConfigError, match=message):
        config(vocab_size=V, **changes)


def test_families():
    assert RecurrentConfig.rnn(vocab_size=V).cell == "rnn"
    assert RecurrentConfig.lstm(vocab_size=V, n_layers=2).n_layers == 2
