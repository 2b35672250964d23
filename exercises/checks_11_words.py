"""The second check of notebook 11: choosing whole words. B rows, T positions, V token ids."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor

from exercises.harness import Attempt, exercise

V, N_SPECIAL = 29, 5
N_BEGIN = 12  # ids 5 … 16 begin a word, 17 … 28 continue one
RATE = 0.2
SHAPE = (1000, 64)
_SIGMAS = 5.0  # of a binomial count
_LONGEST = 4  # pieces of a word whose shares are looked at

# What share of the words of n pieces is chosen as a whole.
SHARES: Mapping[str, Callable[[int], float]] = {
    "it chooses a word if any of its pieces is drawn, so long words come too often: draw once "
    "for each word": lambda n: 1 - (1 - RATE) ** n,
    "it chooses a word only if all of its pieces are drawn, so long words never come: draw once "
    "for each word": lambda n: RATE**n,
    "it chooses the words that were not drawn": lambda _: 1 - RATE,
    "it always chooses 15 %: use the rate that it is given": lambda _: 0.15,
}


@exercise("whole words")
def check_choose_words(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``choose_words(token_ids, begins_word, is_special, rate, generator)``.

    Of (B, T) ids and two (V,) tables of bools, (B, T) bool: each word is chosen with probability
    ``rate``, with all of its pieces. A word begins where an id of ``begins_word`` stands, after a
    special token, and at the start of a row; special tokens belong to no word.
    """
    begins_word, is_special = torch.arange(V) < N_SPECIAL + N_BEGIN, torch.arange(V) < N_SPECIAL
    tables = begins_word, is_special
    ids = torch.tensor([[2, 5, 17, 18, 6, 3, 0], [19, 20, 7, 2, 21, 8, 22]])
    chosen = attempt(ids, *tables, 1.0, generator)
    is_bool = type(chosen) is Tensor and chosen.dtype == torch.bool and chosen.shape == ids.shape
    attempt.holds("the form of the result", is_bool, "it must be a bool tensor of shape (B, T)")
    mistake = "special tokens are chosen: they are no words"
    attempt.holds("rate 1", not bool((chosen & is_special[ids]).any()), mistake, got=chosen)
    mistake = "at rate 1 every piece of every word is chosen"
    attempt.holds("rate 1", bool((chosen | is_special[ids]).all()), mistake, got=chosen)
    nothing = attempt(ids, *tables, 0.0, generator)
    attempt.holds("rate 0", not bool(nothing.any()), "at rate 0 nothing is chosen", got=nothing)
    _check_many(attempt, tables, generator)


def _check_many(attempt: Attempt, tables: tuple[Tensor, Tensor], generator: torch.Generator):
    """Look at some ten thousand words."""
    # A row is a cut from the middle of a text: it may begin inside a word.
    ids = torch.randint(N_SPECIAL, V, SHAPE, generator=generator)
    rare = torch.rand(SHAPE, generator=generator)
    ids = torch.where(rare < 0.04, torch.where(rare < 0.02, 2, 3), ids)
    arguments = ids, *tables, RATE
    chosen = attempt(*arguments, generator)
    special = tables[1][ids]
    mistake = "special tokens are chosen: they are no words"
    attempt.holds("many words", not bool((chosen & special).any()), mistake)
    starts = tables[0][ids] | special | special.roll(1, 1)
    starts[:, 0] = True
    _check_whole(attempt, chosen, starts, special)
    _check_rows(attempt, ids, chosen, starts, special, tables[0])
    _check_shares(attempt, chosen, starts, special)
    again = attempt(*arguments, generator)
    mistake = "a second call chooses the same words: do not seed inside"
    attempt.holds("the next epoch", not torch.equal(chosen, again), mistake)
    first, second = (attempt(*arguments, torch.Generator().manual_seed(1)) for _ in range(2))
    mistake = "the same seed chooses other words: every draw must come from the generator"
    attempt.holds("the generator", torch.equal(first, second), mistake)


def _check_whole(attempt: Attempt, chosen: Tensor, starts: Tensor, special: Tensor) -> None:
    """All pieces of a word meet the same fate."""
    follows = ~starts & ~special
    follows[:, 0] = False
    before = chosen.roll(1, 1)
    n_torn = int((follows & (chosen != before)).sum())
    if n_torn == 0:
        attempt.holds("the pieces of a word", True, "")
        return
    mistake = "words are torn: all pieces of a word must be chosen together"
    first_only = not bool((follows & chosen).any())
    if first_only:
        mistake = "only first pieces are chosen: the rest of the word gives it away"
    elif not bool((follows & before & ~chosen & ~_last(starts, special)).any()) and not bool(
        (follows & chosen & ~before & ~_last(starts, special)).any()
    ):
        mistake = "the last piece goes with the next word: a word begins at its first piece"
    elif not bool((starts & ~special & chosen).any()):
        mistake = "first pieces are never chosen: the word begins with them"
    attempt.holds("the pieces of a word", False, mistake, torn_words=n_torn)


def _last(starts: Tensor, special: Tensor) -> Tensor:
    """Mark the last piece of each word."""
    ends = (starts | special).roll(-1, 1)
    ends[:, -1] = True
    return ends & ~special


def _check_shares(attempt: Attempt, chosen: Tensor, starts: Tensor, special: Tensor) -> None:
    """A word is chosen with the same probability, however many pieces it has."""
    counts = {n: [0, 0] for n in range(1, _LONGEST + 1)}  # pieces → words, chosen ones
    for row, begins in enumerate(starts.tolist()):
        places = [t for t, begin in enumerate(begins) if begin] + [len(begins)]
        for start, end in pairwise(places):
            if not special[row, start] and end - start <= _LONGEST:
                counts[end - start][0] += 1
                counts[end - start][1] += bool(chosen[row, start])
    shares = {n: hits / words for n, (words, hits) in counts.items()}

    def fits(share: Callable[[int], float]) -> bool:
        return all(_fits(hits, words, share(n)) for n, (words, hits) in counts.items())

    if fits(lambda _: RATE):
        attempt.holds("the share of the words", True, "")
        return
    named = [name for name, share in SHARES.items() if fits(share)]
    mistake = named[0] if named else "each word must be chosen with the probability rate"
    attempt.holds("the share of the words", False, mistake, share_by_number_of_pieces=shares)


def _check_rows(
    attempt: Attempt,
    ids: Tensor,
    chosen: Tensor,
    starts: Tensor,
    special: Tensor,
    begins_word: Tensor,
) -> None:
    """Words of different rows are drawn apart, also where a row begins inside a word."""
    numbers = starts.cumsum(1)
    both = (numbers[1:] == numbers[:-1]) & ~special[1:] & ~special[:-1]
    mistake = "the n-th word is chosen in all rows or in none: words of other rows are other words"
    attempt.holds("many rows", bool((chosen[1:] != chosen[:-1])[both].any()), mistake)
    is_cut = ~begins_word[ids[1:, 0]] & ~special[:-1, -1] & ~special[1:, -1]
    below, above = chosen[1:, 0][is_cut].double(), chosen[:-1, -1][is_cut].double()
    p, q = below.mean().item(), above.mean().item()
    n_equal, chance = int((below == above).sum()), p * q + (1 - p) * (1 - q)
    mistake = "a row that begins inside a word shares the fate of the row above: it is a new word"
    is_apart = n_equal <= len(below) * chance or _fits(n_equal, len(below), chance)
    attempt.holds("rows cut inside a word", is_apart, mistake)


def _fits(count: int, n_draws: int, share: float) -> bool:
    """Say whether a count is within five standard errors of its share."""
    return abs(count - n_draws * share) <= _SIGMAS * math.sqrt(n_draws * share * (1 - share)) + 1
