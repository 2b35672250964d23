import pytest
import torch

from minillm.models.scalar_mix import ScalarMix

LAYERS = torch.arange(3 * 2 * 5, dtype=torch.float32).view(3, 2, 5).square()


def test_it_begins_as_the_mean():
    torch.testing.assert_close(ScalarMix(3)(LAYERS), LAYERS.mean(dim=0))


def test_it_is_the_formula():
    mix = ScalarMix(3)
    with torch.no_grad():
        mix.scores.copy_(torch.tensor([0.0, 1.0, 3.0]).log() + 7)  # 7: a shift changes nothing
        mix.scale.fill_(2.0)
    torch.testing.assert_close(mix.weights, torch.tensor([0.0, 0.25, 0.75]))
    torch.testing.assert_close(mix(LAYERS), 2 * (0.25 * LAYERS[1] + 0.75 * LAYERS[2]))


def test_it_learns_which_layer_the_task_needs():
    mix = ScalarMix(3)
    optimizer = torch.optim.Adam(mix.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(0)
    layers = torch.randn(3, 7, 11, generator=generator)
    for _ in range(200):
        optimizer.zero_grad()
        (mix(layers) - 3 * layers[1]).square().mean().backward()
        optimizer.step()
    assert mix.weights[1] > 0.95
    assert mix.scale.item() == pytest.approx(3, abs=0.2)


def test_wrong_numbers_of_layers_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        ScalarMix(0)
    with pytest.raises(ValueError, match="expected 2 layers to mix, got 3"):
        ScalarMix(2)(LAYERS)
