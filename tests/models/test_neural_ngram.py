"""What only the neural n-gram does; the shared contract is in test_recurrent.py."""

import pytest
import torch

from minillm.config import NeuralNgramConfig
from minillm.models.neural_ngram import NeuralNgram

V, K, C, F = 11, 3, 2, 5


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(params=[False, True])
def model(request, generator):
    config = NeuralNgramConfig(
        vocab_size=V, order=K + 1, d_model=C, d_ff=F, direct_connections=request.param
    )
    model = NeuralNgram(config, generator=generator).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def test_it_is_equation_1_of_the_paper(model):
    context = [4, 0, 9]
    vectors = model.token_embedding.weight[context].reshape(K * C)
    hidden = (model.feed_forward.weight @ vectors + model.feed_forward.bias).tanh()
    expected = model.unembedding.weight[:, :F] @ hidden
    if model.config.direct_connections:
        expected = expected + model.unembedding.weight[:, F:] @ vectors
    torch.testing.assert_close(model(torch.tensor([[7, *context]]))[0, -1], expected)


def test_contexts_begin_with_nothing(model):
    contexts = model.contexts(torch.tensor([[4, 5, 6, 7]]))
    assert contexts.tolist() == [[[V, V, 4], [V, 4, 5], [4, 5, 6], [5, 6, 7]]]


def test_a_token_is_read_only_order_minus_one_times(model, generator):
    token_ids = torch.randint(V, (1, 13), generator=generator)
    changed = token_ids.clone()
    changed[0, 4] = (changed[0, 4] + 1) % V
    differs = ~torch.isclose(model(token_ids), model(changed)).all(dim=-1)[0]
    assert differs.nonzero().flatten().tolist() == [4, 5, 6]


def test_the_state_is_the_last_tokens(model):
    _, state = model.next_log_probs(torch.tensor([[4, 5]]))
    assert state.tolist() == [[V, 4, 5]]
    _, state = model.next_log_probs(torch.tensor([[6, 7]]), state)
    assert state.tolist() == [[5, 6, 7]]


def test_nothing_is_read_but_never_predicted(model):
    log_probs, _ = model.next_log_probs(torch.tensor([[4]]))
    assert log_probs.shape == (1, V)
    torch.testing.assert_close(log_probs.exp().sum(), torch.tensor(1.0))


def test_parameters_are_those_of_the_paper():
    config = NeuralNgramConfig(vocab_size=V, order=K + 1, d_model=C, d_ff=F)
    model = NeuralNgram(config)
    # a vector for each token and for nothing; d and H; U
    assert model.n_parameters() == (V + 1) * C + F * (1 + K * C) + V * F
