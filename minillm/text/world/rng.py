"""Random numbers that are the same on every machine: SplitMix64, and draws by whole numbers only.

Python promises no sequence for ``random.choices``, NumPy none for the methods of its generators;
here a draw is two multiplications and a shift of integers, so that a seed means the same documents
on every Python, for ever.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from minillm.text.documents import stable_hash

_MASK = 2**64 - 1
_GAMMA = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd: the states run through all of 2**64


class SplitMix64:
    """The generator of Steele, Lea and Flood.

    *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014. The state
    grows by a constant; a hash of it is the output.

    Args:
        state: Where to begin, from 0 to 2**64 - 1.

    Example:
        >>> SplitMix64(1234567).next()
        6457827717110365317
    """

    __slots__ = ("state",)

    def __init__(self, state: int) -> None:
        self.state = state & _MASK

    def next(self) -> int:
        """Return 64 bits: every number from 0 to 2**64 - 1 is equally likely."""
        self.state = z = (self.state + _GAMMA) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, total: int) -> int:
        """Return a number from 0 to ``total`` - 1.

        The first digits of the fraction next() / 2**64 in base ``total``. No number is favored by
        more than total / 2**64 (Lemire, arXiv:1805.10941, without his rejection step).
        """
        return (self.next() * total) >> 64

    def pick(self, cumulative: Sequence[int]) -> int:
        """Draw a place with the probability of its weight.

        Args:
            cumulative: Sums of the weights up to each place, see `cumulate`.
        """
        return bisect_right(cumulative, (self.next() * cumulative[-1]) >> 64)


def cumulate(weights: Iterable[int]) -> tuple[int, ...]:
    """Add up weights, for `SplitMix64.pick`: (1, 0, 3) becomes (1, 1, 4)."""
    return tuple(accumulate(weights))


def keyed(seed: int, stream: str, number: int) -> SplitMix64:
    """Start a sequence of its own for each seed, purpose and document.

    Any document can be drawn alone, in any order. All sequences lie on one cycle of 2**64 states,
    from starts that SHA-256 scatters: that two of a million of 100 draws touch has odds of 1e-5.

    Args:
        seed: Of the world.
        stream: What is drawn, such as ``"document"``; other streams do not move when one
            draws more.
        number: Of the document.
    """
    return SplitMix64(stable_hash(f"{seed}/{stream}/{number}"))
