"""Student's t against closed forms, against SciPy where it is there, and by drawing."""

import math

import pytest
import torch

from minillm.arena.intervals import t_interval, t_quantile
from minillm.errors import DataError

PROBABILITIES = (0.6, 0.9, 0.975, 0.995)


@pytest.mark.parametrize("p", PROBABILITIES)
def test_closed_forms(p):
    """Of 1, 2 and 4 degrees of freedom the quantiles can be written down (Shaw 2006)."""
    assert t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-8)
    alpha = 4 * p * (1 - p)
    assert t_quantile(p, 2) == pytest.approx((2 * p - 1) * math.sqrt(2 / alpha), rel=1e-8)
    q = math.cos(math.acos(math.sqrt(alpha)) / 3) / math.sqrt(alpha)
    assert t_quantile(p, 4) == pytest.approx(2 * math.sqrt(q - 1), rel=1e-8)


@pytest.mark.parametrize("n_free", [1, 3, 5, 29])
def test_scipy_agrees(n_free):
    stats = pytest.importorskip("scipy.stats")
    for p in (0.025, *PROBABILITIES):
        assert t_quantile(p, n_free) == pytest.approx(stats.t.ppf(p, n_free), rel=1e-7)
    values = torch.randn(n_free + 1, generator=torch.Generator().manual_seed(n_free)).tolist()
    interval = t_interval(values, confidence=0.9)
    low, high = stats.t.interval(
        0.9, n_free, loc=sum(values) / len(values), scale=stats.sem(values)
    )
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-6)


def test_many_degrees_of_freedom_are_a_normal_distribution():
    assert t_quantile(0.975, 2000) == pytest.approx(1.96, abs=3e-3)
    assert t_quantile(0.025, 7) == -t_quantile(0.975, 7)


def test_it_covers_the_mean_as_often_as_it_says():
    generator = torch.Generator().manual_seed(0)
    n = 600
    draws = 3.0 + torch.randn(n, 5, generator=generator)
    hits = sum(i.low <= 3.0 <= i.high for i in (t_interval(row.tolist()) for row in draws))
    assert abs(hits / n - 0.95) < 5 * math.sqrt(0.95 * 0.05 / n)


def test_what_differs_from_zero():
    assert t_interval([0.1, 0.2, 0.3]).excludes_zero is False  # t is wide for three
    assert t_interval([0.2, 0.2, 0.21]).excludes_zero
    assert t_interval([-0.2, -0.2, -0.21]).excludes_zero


def test_refusals():
    for values in ([], [0.5], [0.5, math.nan]):
        with pytest.raises(DataError, match="two finite values"):
            t_interval(values)
    for arguments in ((0.0, 3), (1.0, 3), (0.5, 0)):
        with pytest.raises(ValueError, match="probability"):
            t_quantile(*arguments)
