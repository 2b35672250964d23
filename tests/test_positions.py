import math

import pytest
import torch
from torch import nn

from minillm.positions import (
    LearnedPositions,
    RelativeBias,
    SinusoidalPositions,
    make_rotation,
    relative_buckets,
    rotate,
)

B, H, T, D = 2, 3, 7, 10


@pytest.fixture
def x():
    return torch.randn(B, H, T, D, generator=torch.Generator().manual_seed(0))


def rotated_by_hand(vector, position, base):
    """Turn coordinates (i, i + D/2) by position · base^(-2i/D), with Python's floats."""
    half = len(vector) // 2
    out = list(vector)
    for i in range(half):
        angle = position * base ** (-2 * i / len(vector))
        a, b = vector[i], vector[i + half]
        out[i] = a * math.cos(angle) - b * math.sin(angle)
        out[i + half] = b * math.cos(angle) + a * math.sin(angle)
    return out


@pytest.mark.parametrize("base", [10_000.0, 37.0])
def test_rotation_equals_hand_computation(x, base):
    positions = torch.tensor([0, 1, 2, 5, 11, 100, 1000])
    out = rotate(x, make_rotation(positions, head_dim=D, base=base))
    for t, position in enumerate(positions.tolist()):
        expected = torch.tensor(rotated_by_hand(x[1, 2, t].tolist(), position, base))
        torch.testing.assert_close(out[1, 2, t], expected, atol=2e-4, rtol=1e-4)


def test_convention_is_halves_as_in_llama():
    e0 = torch.zeros(1, 1, 1, 4)
    e0[..., 0] = 1.0
    out = rotate(e0, make_rotation(torch.tensor([1]), head_dim=4))[0, 0, 0]
    torch.testing.assert_close(out, torch.tensor([math.cos(1), 0.0, math.sin(1), 0.0]))


def test_scores_depend_on_the_distance_only(x):
    query, key = x[0, 0, 0].double(), x[0, 0, 1].double()

    def score(t, s):
        turned = [
            rotate(v.expand(1, 1, 1, D), make_rotation(torch.tensor([p]), head_dim=D)).flatten()
            for v, p in ((query, t), (key, s))
        ]
        return (turned[0] @ turned[1]).item()

    assert score(9, 4) == pytest.approx(score(5, 0), abs=1e-5)
    assert score(105, 100) == pytest.approx(score(5, 0), abs=1e-4)
    assert score(5, 0) != pytest.approx(score(0, 5), abs=1e-2)  # the direction counts
    assert score(6, 0) != pytest.approx(score(5, 0), abs=1e-2)  # and so does the distance


def test_rotation_keeps_lengths_and_dtype(x):
    rotation = make_rotation(torch.arange(T) + 3, head_dim=D)
    torch.testing.assert_close(rotate(x, rotation).norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(rotate(x, make_rotation(torch.zeros(T, dtype=torch.long), head_dim=D)), x)
    assert rotate(x.bfloat16(), rotation).dtype == torch.bfloat16
    assert rotate(x.double(), rotation).dtype == torch.float64


def test_explicit_positions_continue_the_angle(x):
    whole = rotate(x, make_rotation(torch.arange(T), head_dim=D))
    tail = rotate(x[:, :, 4:], make_rotation(torch.arange(4, T), head_dim=D))
    torch.testing.assert_close(tail, whole[:, :, 4:])


def test_positions_per_row_broadcast_over_heads(x):
    positions = torch.stack([torch.arange(T), torch.arange(T) + 5])
    out = rotate(x, make_rotation(positions, head_dim=D))
    for b in range(B):
        alone = rotate(x[b : b + 1], make_rotation(positions[b], head_dim=D))
        torch.testing.assert_close(out[b : b + 1], alone)


def test_large_positions_stay_distinct():  # bfloat16 angles would merge 1000 and 1001
    rotation = make_rotation(torch.tensor([1000, 1001]), head_dim=D)
    assert rotation.cos.dtype == torch.float32
    assert rotation.cos[0, 0].item() == pytest.approx(math.cos(1000), abs=1e-4)
    assert rotation.cos[1, 0].item() == pytest.approx(math.cos(1001), abs=1e-4)


def test_odd_head_dim_is_refused():
    with pytest.raises(ValueError, match="must be even, got 7"):
        make_rotation(torch.arange(3), head_dim=7)


def test_learned_positions_look_up_their_rows():
    layer = LearnedPositions(11, 5)
    nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([[3, 4, 10], [0, 0, 1]])
    assert torch.equal(layer(positions), layer.weight[positions])


# --- sinusoidal positions


def test_sinusoids_equal_the_formula():
    positions = torch.tensor([[0, 1, 5], [100, 1000, 4095]])
    found = SinusoidalPositions(6)(positions)
    assert found.shape == (2, 3, 6)
    assert found.dtype == torch.float32
    for b, row in enumerate(positions.tolist()):
        for t, position in enumerate(row):
            for i in range(3):
                angle = position / 10_000 ** (2 * i / 6)
                expected = [math.sin(angle), math.cos(angle)]  # columns 2i and 2i + 1
                assert found[b, t, 2 * i : 2 * i + 2].tolist() == pytest.approx(expected, abs=3e-4)


@pytest.mark.parametrize("k", [1, 7, -3])
def test_a_shift_is_one_rotation_of_each_pair_wherever_it_starts(k):
    layer = SinusoidalPositions(10)
    for i in range(5):
        angle = k / 10_000 ** (2 * i / 10)
        turn = torch.tensor(
            [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
        )
        for position in (3, 8, 50):
            before, after = layer(torch.tensor([position, position + k]))[:, 2 * i : 2 * i + 2]
            torch.testing.assert_close(turn @ before, after, atol=1e-5, rtol=0)


def test_sinusoids_learn_nothing_and_have_no_last_position():
    layer = SinusoidalPositions(4)
    assert layer.state_dict() == {}
    far = layer(torch.tensor([10**6, 10**6 + 1]))
    assert not torch.isclose(*far).all()
    with pytest.raises(ValueError, match="d_model must be even, got 7"):
        SinusoidalPositions(7)


def bucket_by_hand(distance, n_buckets, max_distance, is_bidirectional):
    """T5's rule in Python's integers and floats."""
    if is_bidirectional:
        n_buckets //= 2
        first = n_buckets if distance > 0 else 0
        distance = abs(distance)
    else:
        first, distance = 0, max(-distance, 0)
    exact = n_buckets // 2
    if distance < exact:
        return first + distance
    share = math.log(distance / exact) / math.log(max_distance / exact)
    return first + min(exact + int(share * (n_buckets - exact) + 1e-6), n_buckets - 1)


@pytest.mark.parametrize("is_bidirectional", [True, False])
@pytest.mark.parametrize(("n_buckets", "max_distance"), [(32, 128), (8, 20), (10, 37)])
def test_buckets_equal_hand_computation(n_buckets, max_distance, is_bidirectional):
    settings = {
        "n_buckets": n_buckets,
        "max_distance": max_distance,
        "is_bidirectional": is_bidirectional,
    }
    distances = torch.arange(-300, 301)
    buckets = relative_buckets(distances, **settings).tolist()
    assert buckets == [bucket_by_hand(int(d), **settings) for d in distances]
    reachable = set(range(n_buckets)) - ({n_buckets // 2} if is_bidirectional else set())
    assert set(buckets) == reachable  # a positive distance of 0 does not exist


def test_a_relative_bias_knows_the_distance_only():
    bias = RelativeBias(H, n_buckets=8, max_distance=11)
    torch.nn.init.normal_(bias.weight, generator=torch.Generator().manual_seed(0))
    out = bias(torch.arange(T), torch.arange(5))
    assert out.shape == (1, H, T, 5)
    later = bias(torch.arange(T) + 1000, torch.arange(5) + 1000)
    assert torch.equal(out, later)
    for t in range(T):
        for s in range(5):
            bucket = bucket_by_hand(s - t, 8, 11, is_bidirectional=True)
            assert torch.equal(out[0, :, t, s], bias.weight[bucket])
