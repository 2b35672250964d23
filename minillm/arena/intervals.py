"""Student's t: how far the mean of a few seeds may be from that of all seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from minillm.errors import DataError

_N_PANELS = 400  # of Simpson's rule: nine digits at a few degrees of freedom
_N_HALVINGS = 60  # of the interval that holds the quantile: to the last bit


class Interval(NamedTuple):
    """A mean and the ends of its interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is one, at this level of confidence."""
        return self.low > 0 or self.high < 0


def t_interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Return the interval that holds the true mean in such a share of all repetitions.

    ``mean ± t · s / √n`` with s over n − 1 (Student 1908): exact if the values are drawn
    independently from a normal distribution, and honest about how little five seeds know. Of two
    models that share a seed, its labels and its test set, give the differences: what the seed does
    to both then cancels.

    Args:
        values: one of each seed, two or more.
        confidence: such as 0.95.

    Raises:
        DataError: fewer than two values, or one that is not finite.

    Example:
        >>> [round(x, 2) for x in t_interval([0.1, 0.2, 0.3, 0.2, 0.2])]
        [0.2, 0.11, 0.29]
    """
    if len(values) < 2 or not all(map(math.isfinite, values)):
        raise DataError(f"an interval needs two finite values or more, got {list(values)}")
    n = len(values)
    mean = math.fsum(values) / n
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half = t_quantile((1 + confidence) / 2, n - 1) * math.sqrt(variance / n)
    return Interval(mean, mean - half, mean + half)


@cache
def t_quantile(probability: float, n_free: int) -> float:
    """Return the value below which Student's t with ``n_free`` degrees of freedom falls so often.

    With t = √ν tan θ the density becomes a multiple of cos^(ν−1) θ on a bounded interval, which
    Simpson's rule integrates to machine precision; the quantile is found by halving.

    Args:
        probability: between 0 and 1.
        n_free: ν, 1 or more.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> round(t_quantile(0.975, 4), 4)
        2.7764
    """
    if not 0.0 < probability < 1.0 or n_free < 1:
        raise ValueError(f"expected 0 < probability < 1 and n_free >= 1, got {probability, n_free}")
    if probability < 0.5:
        return -t_quantile(1 - probability, n_free)
    wanted = (probability - 0.5) * 2 * _area(math.pi / 2, n_free)
    low, high = 0.0, math.pi / 2
    for _ in range(_N_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _area(middle, n_free) < wanted else (low, middle)
    return math.sqrt(n_free) * math.tan((low + high) / 2)


def _area(angle: float, n_free: int) -> float:
    """Integrate cos^(ν−1) from 0 to the angle."""
    step = angle / _N_PANELS
    heights = [math.cos(step * i) ** (n_free - 1) for i in range(_N_PANELS + 1)]
    odd, even = math.fsum(heights[1:-1:2]), math.fsum(heights[2:-1:2])
    return step / 3 * (heights[0] + 4 * odd + 2 * even + heights[-1])
