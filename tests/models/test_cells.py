import pytest
import torch
from torch import nn

from minillm.models.cells import LSTMCell, RecurrentLayer, RecurrentLayers, RNNCell

B, T, D, C = 2, 7, 3, 5
PEERS = {"rnn": nn.RNN, "lstm": nn.LSTM}
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(params=["rnn", "lstm"])
def cell(request):
    return request.param


def make_layer(cell, generator, *, d_input=D, backend="reference"):
    layer = RecurrentLayer(d_input, C, cell=cell, backend=backend).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return layer


def randn(*shape, generator):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("backend", ["reference", "fused"])
def test_layer_equals_torch_in_values_and_gradients(cell, generator, backend):
    layer = make_layer(cell, generator, backend=backend)
    peer = PEERS[cell](D, C, batch_first=True).double()
    peer.load_state_dict({f"{name}_l0": getattr(layer.cell, name) for name in NAMES})
    x = randn(B, T, D, generator=generator)
    state = tuple(randn(B, C, generator=generator) for _ in layer.cell.first_state(x))
    seen = randn(B, T, C, generator=generator)

    hidden, last = layer(x, state)
    first = tuple(part[None] for part in state)
    expected, expected_last = peer(x, first if cell == "lstm" else first[0])
    expected_last = expected_last if cell == "lstm" else (expected_last,)
    torch.testing.assert_close(hidden, expected)
    torch.testing.assert_close(last, tuple(part[0] for part in expected_last))
    ((hidden * seen).sum() + last[-1].sum()).backward()
    ((expected * seen).sum() + expected_last[-1].sum()).backward()
    for name in NAMES:
        ours, theirs = getattr(layer.cell, name).grad, getattr(peer, f"{name}_l0").grad
        torch.testing.assert_close(ours, theirs, msg=name)


@pytest.mark.parametrize(
    ("ours", "theirs", "n_states"), [(RNNCell, nn.RNNCell, 1), (LSTMCell, nn.LSTMCell, 2)]
)
def test_cell_loads_the_weights_of_torch(generator, ours, theirs, n_states):
    cell, peer = ours(D, C).double(), theirs(D, C).double()
    cell.load_state_dict(peer.state_dict())
    x = randn(B, D, generator=generator)
    state = tuple(randn(B, C, generator=generator) for _ in range(n_states))
    expected = peer(x, state if n_states == 2 else state[0])
    torch.testing.assert_close(cell(x, state), expected if n_states == 2 else (expected,))


def test_layers_equal_torch_with_dropout_switched_off(cell, generator):
    layers = RecurrentLayers(C, n_layers=3, cell=cell, dropout=0.5, generator=generator)
    layers = layers.double().eval()
    peer = PEERS[cell](C, C, num_layers=3, batch_first=True).double()
    peer.load_state_dict(
        {
            f"{name}_l{number}": getattr(layer.cell, name)
            for number, layer in enumerate(layers.layers)
            for name in NAMES
        }
    )
    x = randn(B, T, C, generator=generator)
    hidden, state = layers(x)
    expected, last = peer(x)
    torch.testing.assert_close(hidden[-1], expected)
    parts = last if cell == "lstm" else (last,)
    for number in range(3):
        torch.testing.assert_close(state[number], tuple(part[number] for part in parts))
        torch.testing.assert_close(hidden[number][:, -1], state[number][0])


def test_a_text_may_come_in_chunks(cell, generator):
    layers = RecurrentLayers(C, n_layers=2, cell=cell, generator=generator).double()
    x = randn(B, T, C, generator=generator)
    whole, last = layers(x)
    pieces, state = [], None
    for start, stop in ((0, 1), (1, 4), (4, 7)):
        hidden, state = layers(x[:, start:stop], state)
        pieces.append(hidden)
    for number in range(2):
        torch.testing.assert_close(torch.cat([p[number] for p in pieces], dim=1), whole[number])
        torch.testing.assert_close(state[number], last[number])


def test_dropout_goes_up_and_not_on_in_time(generator):
    torch.manual_seed(0)
    layers = RecurrentLayers(C, n_layers=2, dropout=0.9, generator=generator)
    x = torch.randn(B, T, C, generator=generator)
    lowest, highest = layers(x)[0]
    again = layers(x)[0]
    torch.testing.assert_close(again[0], lowest)
    assert not torch.equal(again[1], highest)
    layers.eval()
    assert torch.equal(layers(x)[0][1], layers(x)[0][1])


def test_backends_are_switched_and_agree(cell, generator):
    layers = RecurrentLayers(C, n_layers=2, cell=cell, generator=generator).double()
    x = randn(B, T, C, generator=generator)
    expected, _ = layers(x)
    layers.set_backend("reference")
    assert {layer.backend for layer in layers.layers} == {"reference"}
    torch.testing.assert_close(layers(x)[0], expected)
    with pytest.raises(ValueError, match="'reference' or 'fused', got 'magic'"):
        layers.set_backend("magic")
    with pytest.raises(ValueError, match="got 'magic'"):
        RecurrentLayer(D, C, backend="magic")


def test_fresh_weights_are_those_of_the_generator_and_remember():
    def fresh(seed):
        return RecurrentLayers(C, generator=torch.Generator().manual_seed(seed)).layers[0].cell

    assert torch.equal(fresh(0).weight_hh, fresh(0).weight_hh)
    assert not torch.equal(fresh(0).weight_hh, fresh(1).weight_hh)
    assert fresh(0).weight_hh.abs().max() <= C**-0.5
    biases = fresh(0).bias_ih + fresh(0).bias_hh
    assert biases.tolist() == [0.0] * C + [1.0] * C + [0.0] * 2 * C  # i, f, g, o


def test_what_has_no_position_is_refused():
    with pytest.raises(ValueError, match=r"T >= 1, got \(2, 0, 3\)"):
        RecurrentLayer(D, C)(torch.zeros(B, 0, D))
    with pytest.raises(ValueError, match=r"got \(2, 3\)"):
        RecurrentLayer(D, C)(torch.zeros(B, D))
