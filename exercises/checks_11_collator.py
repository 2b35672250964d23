"""The first check of notebook 11: hiding tokens. B rows, T positions, V token ids."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from exercises.harness import Attempt, exercise

N_SPECIAL, MASK_ID, PAD_ID, V = 5, 4, 0, 53
IGNORED = -100
SHAPE = (700, 1024)  # some 107,000 scored tokens at 15 %
_SIGMAS = 5.0  # a right answer is further away less than once in a million comparisons

# What becomes of the chosen tokens: shares of [MASK], another token, the token itself.
FATES: Mapping[str, tuple[float, float, float]] = {
    "the draws overlap: it keeps 10 %, then splits only the rest 90 : 10, which is 81/9/10": (
        (0.81, 0.09, 0.10)
    ),
    "the draws overlap: 10 % of what [MASK] left are random, which is 80/2/18; draw half of it": (
        (0.80, 0.02, 0.18)
    ),
    "the draws overlap: random tokens overwrite a tenth of the [MASK]s, which is 72/10/18": (
        (0.72, 0.10, 0.18)
    ),
    "every chosen token becomes [MASK]: a tenth must be random and a tenth stay": (1.0, 0.0, 0.0),
    "random and kept are exchanged for [MASK]: it hides 10 % and replaces 80 %": (0.1, 0.8, 0.1),
    "no chosen token stays as it is: a tenth must": (0.8, 0.2, 0.0),
    "no chosen token is replaced by a random one: a tenth must be": (0.8, 0.0, 0.2),
    "nothing is hidden: the targets are right, but the model still reads them": (0.0, 0.0, 1.0),
}


@exercise("hiding tokens")
def check_hide_tokens(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``hide_tokens(token_ids, n_special, mask_id, vocab_size, generator)``.

    Of (B, T) int64 ids, of which those below ``n_special`` are special (padding is one), the pair
    (inputs, targets): 15 % of the ordinary tokens are targets, the rest is −100; of the chosen
    ones 80 % are ``mask_id`` in the inputs, 10 % another ordinary id drawn evenly, 10 % as before.
    """
    token_ids = _text(generator)
    arguments = token_ids, N_SPECIAL, MASK_ID, V
    inputs, targets = _pair(attempt, attempt(*arguments, generator), token_ids)
    _check_targets(attempt, token_ids, targets)
    _check_rate(attempt, token_ids, inputs, targets)
    chosen = targets != IGNORED
    is_same = torch.equal(inputs[~chosen], token_ids[~chosen])
    mistake = "tokens that nobody is asked about were changed: touch only the chosen ones"
    attempt.holds("the tokens that were not chosen", is_same, mistake)
    _check_random(attempt, token_ids[chosen], inputs[chosen])
    _check_fates(attempt, token_ids[chosen], inputs[chosen])
    _check_freshness(attempt, token_ids[:50], generator)


def _text(generator: torch.Generator) -> Tensor:
    """Draw rows [CLS] … [SEP] [PAD] …; frequent ids first, so that no share is even by chance."""
    weights = 1 / torch.arange(1, V - N_SPECIAL + 1).float()
    n_tokens = math.prod(SHAPE)
    ids = torch.multinomial(weights, n_tokens, replacement=True, generator=generator) + N_SPECIAL
    ids = ids.view(SHAPE)
    ends = torch.randint(SHAPE[1] - 80, SHAPE[1], (SHAPE[0], 1), generator=generator)
    places = torch.arange(SHAPE[1])
    ids = torch.where(places == ends, 3, ids).masked_fill(places > ends, PAD_ID)
    ids[:, 0] = 2
    return ids


def _pair(attempt: Attempt, result: object, token_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Ask for two int64 tensors of the shape of the ids."""
    is_pair = isinstance(result, tuple | list) and len(result) == 2
    forms = [(x.dtype, x.shape) for x in result if isinstance(x, Tensor)] if is_pair else []  # pyright: ignore[reportGeneralTypeIssues]
    wanted = [(torch.int64, token_ids.shape)] * 2
    mistake = "it must be a pair of int64 tensors, inputs and targets, each (B, T)"
    attempt.holds("the form of the result", forms == wanted, mistake)
    inputs, targets = result  # pyright: ignore[reportGeneralTypeIssues]
    return inputs, targets


def _check_targets(attempt: Attempt, token_ids: Tensor, targets: Tensor) -> None:
    """Targets are the truth, at ordinary tokens only."""
    chosen = targets != IGNORED
    specials = token_ids < N_SPECIAL
    if bool((targets[~chosen] == IGNORED).all()) and not bool((chosen & ~specials).any()):
        attempt.holds("the targets", False, "nothing is scored: no target differs from −100")
    everything = bool(chosen[~specials].all())
    mistake = "labels everywhere: what was not chosen must be −100, else the model learns to copy"
    attempt.holds("the targets", not everything, mistake)
    of_padding = chosen & (token_ids == PAD_ID)
    mistake = "padding is chosen: there is nothing to predict behind the end of a row"
    attempt.holds("rows with padding", not bool(of_padding.any()), mistake)
    mistake = "special tokens are chosen: [CLS] and [SEP] say nothing about the language"
    attempt.holds("the special tokens", not bool((chosen & specials).any()), mistake)
    is_true = torch.equal(targets[chosen], token_ids[chosen])
    mistake = "the targets are not the tokens that stood there: take them before you hide anything"
    attempt.holds("the targets", is_true, mistake)


def _check_rate(attempt: Attempt, token_ids: Tensor, inputs: Tensor, targets: Tensor) -> None:
    """15 % of the ordinary tokens are scored."""
    ordinary = token_ids >= N_SPECIAL
    chosen = targets != IGNORED
    n_ordinary, n_chosen = int(ordinary.sum()), int(chosen.sum())
    if _fits(n_chosen, n_ordinary, 0.15):
        attempt.holds("the number of chosen tokens", True, "")
        return
    all_masked = bool((inputs[chosen] == MASK_ID).all())
    mistake = "the share of the ordinary tokens that are scored must be 15 %"
    if _fits(n_chosen, n_ordinary, 0.12) and all_masked:
        mistake = "15 % of 80 %: only [MASK] is scored; random and kept tokens are targets too"
    elif _fits(n_chosen, n_ordinary, 0.85):
        mistake = "it chooses 85 %: the comparison with 0.15 is the wrong way round"
    attempt.holds("the number of chosen tokens", False, mistake, share=n_chosen / n_ordinary)


def _check_fates(attempt: Attempt, truth: Tensor, shown: Tensor) -> None:
    """80 % are [MASK], 10 % another token, 10 % unchanged."""
    n_mask = int((shown == MASK_ID).sum())
    n_kept = int((shown == truth).sum())
    counts = n_mask, len(truth) - n_mask - n_kept, n_kept
    if _has_shares(counts, (0.8, 0.1, 0.1)):
        attempt.holds("80/10/10", True, "")
        return
    named = [name for name, shares in FATES.items() if _has_shares(counts, shares)]
    mistake = named[0] if named else "the shares of [MASK], random and kept must be 80/10/10"
    shares = [count / len(truth) for count in counts]
    attempt.holds("80/10/10", False, mistake, mask_random_kept=shares)


def _check_random(attempt: Attempt, truth: Tensor, shown: Tensor) -> None:
    """Random tokens are ordinary, evenly drawn, each for itself."""
    drawn = shown[(shown != MASK_ID) & (shown != truth)]
    if len(drawn) == 0:
        return  # the shares will say it
    mistake = "a random token may be special: draw from the ordinary ids, n_special … V − 1"
    attempt.holds("the random tokens", bool((drawn >= N_SPECIAL).all()), mistake)
    counts = torch.bincount(drawn, minlength=V)[N_SPECIAL:]
    is_one = int((counts > 0).sum()) <= 2
    mistake = "all random tokens are the same one: draw for each place"
    attempt.holds("the random tokens", not is_one, mistake)
    mistake = "some ordinary ids never come, such as the last one: randint leaves its end out"
    attempt.holds("the random tokens", bool((counts > 0).all()), mistake, counts=counts)
    # Whoever draws evenly replaces a token by itself once in 48 times; that counts as kept.
    frequency = torch.bincount(truth, minlength=V)[N_SPECIAL:] / len(truth)
    expected = (1 - frequency) / (1 - frequency).sum()
    is_even = all(
        _fits(count, len(drawn), share)
        for count, share in zip(counts.tolist(), expected.tolist(), strict=True)
    )
    mistake = "frequent tokens come more often: draw evenly among the ordinary ids"
    attempt.holds("the random tokens", is_even, mistake, counts=counts)


def _check_freshness(attempt: Attempt, rows: Tensor, generator: torch.Generator) -> None:
    """Rows differ, calls differ, and a seed can be repeated."""
    arguments = rows, N_SPECIAL, MASK_ID, V
    chosen = attempt(*arguments, generator)[1] != IGNORED
    whole = chosen[:, 1 : SHAPE[1] - 80]  # no special tokens there
    is_one = bool((whole == whole[0]).all())
    mistake = "all rows are hidden at the same places: draw for each place of each row"
    attempt.holds("fifty rows", not is_one, mistake)
    again = attempt(*arguments, generator)[1] != IGNORED
    mistake = "a second call hides the same places: do not seed inside, the masks must be fresh"
    attempt.holds("the next epoch", not torch.equal(chosen, again), mistake)

    def seeded() -> Tensor:
        return attempt(*arguments, torch.Generator().manual_seed(1))[0]

    mistake = "the same seed hides other places: every draw must come from the generator"
    attempt.holds("the generator", torch.equal(seeded(), seeded()), mistake)


def _fits(count: int, n_draws: int, share: float) -> bool:
    """Say whether a count is within five standard errors of its share."""
    return abs(count - n_draws * share) <= _SIGMAS * math.sqrt(n_draws * share * (1 - share)) + 1


def _has_shares(counts: tuple[int, int, int], shares: tuple[float, float, float]) -> bool:
    """Say whether (mask, random, kept) fit, when a random token is the true one 1 in 48 times."""
    mask, random, kept = shares
    accidental = random / (V - N_SPECIAL)
    expected = mask, random - accidental, kept + accidental
    n = sum(counts)
    return all(_fits(count, n, share) for count, share in zip(counts, expected, strict=True))
