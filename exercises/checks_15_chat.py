"""The first check of notebook 15: what of a conversation a model learns to write.

Dimension key: B conversations, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from exercises.harness import Attempt, exercise

IGNORED = -100
MARKS = {"pad": 0, "system": 1, "user": 2, "assistant": 3, "end": 4, "bos": 5}
_FIRST_WORD = 10
Scored = Callable[[Sequence[int], int, str | None], bool]  # the row, a position, who speaks there


def _speakers(row: Sequence[int]) -> list[str | None]:
    """Say of each token whose message it belongs to, the mark and the end included."""
    roles = {MARKS[role]: role for role in ("system", "user", "assistant")}
    speakers: list[str | None] = []
    now = None
    for token in row:
        now = roles.get(token, now)
        speakers.append(now)
        if token == MARKS["end"]:
            now = None
    return speakers


def _targets(
    token_ids: Tensor, scored: Scored, *, shift: int = 1, ignored: int = IGNORED
) -> Tensor:
    """Write the target of each position with a slow loop."""
    rows = []
    for row in token_ids.tolist():
        speakers, targets = _speakers(row), []
        for position in range(len(row) - 1):
            after = position + shift
            is_scored = after < len(row) and scored(row, after, speakers[after])
            targets.append(row[after] if is_scored else ignored)
        rows.append(targets)
    return torch.tensor(rows)


def _is_answer(row: Sequence[int], at: int, speaker: str | None) -> bool:
    return speaker == "assistant" and row[at] != MARKS["assistant"]


def _is_answer_or_mark(row: Sequence[int], at: int, speaker: str | None) -> bool:
    return speaker == "assistant"


def _is_word_of_answer(row: Sequence[int], at: int, speaker: str | None) -> bool:
    return _is_answer(row, at, speaker) and row[at] != MARKS["end"]


def _is_text(row: Sequence[int], at: int, speaker: str | None) -> bool:
    return row[at] != MARKS["pad"]


def _is_any_end(row: Sequence[int], at: int, speaker: str | None) -> bool:
    return _is_answer(row, at, speaker) or row[at] == MARKS["end"]


def _is_answer_or_padding(row: Sequence[int], at: int, speaker: str | None) -> bool:
    return _is_answer(row, at, speaker) or row[at] == MARKS["pad"]


def _is_last_answer(row: Sequence[int], at: int, speaker: str | None) -> bool:
    return _is_answer(row, at, speaker) and MARKS["assistant"] not in row[at:]


def _is_first_answer(row: Sequence[int], at: int, speaker: str | None) -> bool:
    return _is_answer(row, at, speaker) and row[:at].count(MARKS["assistant"]) == 1


_MISTAKES: dict[str, Callable[[Tensor, dict[str, int]], Tensor]] = {
    "the role's mark is scored: the program writes <|assistant|>, not the model": (
        lambda ids, marks: _targets(ids, _is_answer_or_mark)
    ),
    "the end is not scored: the model never learns to stop": (
        lambda ids, marks: _targets(ids, _is_word_of_answer)
    ),
    "it is off by one: position t must predict token t + 1, not name the token that it reads": (
        lambda ids, marks: _targets(ids, _is_answer, shift=0)
    ),
    "it is off by one: it looks two tokens ahead": (
        lambda ids, marks: _targets(ids, _is_answer, shift=2)
    ),
    "the user's words are scored: only what the assistant says is learned": (
        lambda ids, marks: _targets(ids, _is_text)
    ),
    "the user's ends are scored: an end counts where the assistant says it": (
        lambda ids, marks: _targets(ids, _is_any_end)
    ),
    "padding is scored: it is no part of any answer": (
        lambda ids, marks: _targets(ids, _is_answer_or_padding)
    ),
    "only the last answer is scored: every turn of the assistant counts": (
        lambda ids, marks: _targets(ids, _is_last_answer)
    ),
    "only the first answer is scored: every turn of the assistant counts": (
        lambda ids, marks: _targets(ids, _is_first_answer)
    ),
    "what is not scored must be -100, the value that the loss leaves out; 0 is a token": (
        lambda ids, marks: _targets(ids, _is_answer, ignored=0)
    ),
}


def _message(role: str, *words: int) -> list[int]:
    return [MARKS[role], *words, MARKS["end"]]


def _drawn_rows(generator: torch.Generator) -> Tensor:
    """Draw three conversations of one, two and three turns; the shorter ones are padded."""

    def words() -> list[int]:
        n = int(torch.randint(1, 5, (1,), generator=generator))
        return (torch.randint(90, (n,), generator=generator) + _FIRST_WORD).tolist()

    rows = []
    for n_turns in (1, 3, 2):
        row = [MARKS["bos"], *(_message("system", *words()) if n_turns == 2 else [])]
        for _ in range(n_turns):
            row += [*_message("user", *words()), *_message("assistant", *words())]
        rows.append(torch.tensor(row))
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=MARKS["pad"])


@exercise("chat mask")
def check_chat_targets(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``chat_targets(token_ids, marks)``.

    It takes conversations (B, T) int64 and the ids of the marks, a dict with the keys pad, system,
    user, assistant, end and bos. A message is its role's mark, its words and end. It returns the
    targets (B, T - 1) of the inputs ``token_ids[:, :-1]``: the next token where that is one of
    the assistant's words or the end after them, and -100 elsewhere.
    """
    turn = [*_message("user", 11, 12), *_message("assistant", 13, 14)]
    by_hand = [IGNORED] * 5 + [13, 14, 4]
    one = torch.tensor([[5, *turn]])
    attempt.equals("one turn", (one, MARKS), torch.tensor([by_hand]), _MISTAKES)
    two = torch.tensor([[5, *turn, *_message("user", 15), *_message("assistant", 16)]])
    expected = torch.tensor([[*by_hand, *[IGNORED] * 4, 16, 4]])
    attempt.equals("two turns", (two, MARKS), expected, _MISTAKES)
    padded = torch.tensor([[5, *turn, 0, 0, 0]])
    expected = torch.tensor([[*by_hand, *[IGNORED] * 3]])
    attempt.equals("padding", (padded, MARKS), expected, _MISTAKES)
    for _ in range(4):
        rows = _drawn_rows(generator)
        attempt.equals("three conversations", (rows, MARKS), _targets(rows, _is_answer), _MISTAKES)
