"""Right and wrong answers to the first exercise of notebook 15: the chat mask."""

from __future__ import annotations

import torch
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_15_chat import MARKS, check_chat_targets

Marks = dict[str, int]


def _is_said(ids: Tensor, marks: Marks) -> Tensor:
    """Say of each token whether the assistant speaks: its mark and its end included."""
    opened = (ids == marks["assistant"]).cumsum(dim=1)
    others = (ids == marks["user"]) | (ids == marks["system"])
    rows = []
    for row, n_opened, is_other in zip(ids, opened, others, strict=True):
        said, now = [], False
        for token, n, other in zip(row.tolist(), n_opened.tolist(), is_other.tolist(), strict=True):
            now = (now or token == marks["assistant"]) and not other and n > 0
            said.append(now)
            now = now and token != marks["end"]
        rows.append(said)
    return torch.tensor(rows)


def _shifted(ids: Tensor, is_scored: Tensor) -> Tensor:
    return ids[:, 1:].masked_fill(~is_scored[:, 1:], -100)


# --- right


def _by_loop(ids: Tensor, marks: Marks) -> Tensor:
    targets = torch.full_like(ids[:, 1:], -100)
    for i, row in enumerate(ids.tolist()):
        speaks = False
        for t, token in enumerate(row):
            if speaks:
                targets[i, t - 1] = token
            if token == marks["assistant"]:
                speaks = True
            elif token == marks["end"]:
                speaks = False
    return targets


def _by_counting(ids: Tensor, marks: Marks) -> Tensor:
    """A token is said if more answers were opened than messages after them closed."""
    roles = [marks[role] for role in ("system", "user", "assistant")]
    is_role = torch.isin(ids, torch.tensor(roles))
    places = torch.arange(ids.shape[1]).expand_as(ids)
    last_role = torch.where(is_role, places, -1).cummax(dim=1).values
    speaker = ids.gather(1, last_role.clamp(min=0))
    n_ended = (ids == marks["end"]).cumsum(dim=1) - (ids == marks["end"]).long()  # before the token
    n_begun = is_role.cumsum(dim=1)
    is_open = n_begun > n_ended
    scored = (speaker == marks["assistant"]) & is_open & ~is_role
    return torch.where(scored, ids, -100)[:, 1:]


def _by_helper(ids: Tensor, marks: Marks) -> Tensor:
    return _shifted(ids, _is_said(ids, marks) & (ids != marks["assistant"]))


# --- wrong


def _header(ids: Tensor, marks: Marks) -> Tensor:
    return _shifted(ids, _is_said(ids, marks))


def _endless(ids: Tensor, marks: Marks) -> Tensor:
    is_mark = (ids == marks["assistant"]) | (ids == marks["end"])
    return _shifted(ids, _is_said(ids, marks) & ~is_mark)


def _not_shifted(ids: Tensor, marks: Marks) -> Tensor:
    is_scored = _is_said(ids, marks) & (ids != marks["assistant"])
    return ids[:, :-1].masked_fill(~is_scored[:, :-1], -100)


def _shifted_twice(ids: Tensor, marks: Marks) -> Tensor:
    targets = _by_loop(ids, marks)
    return torch.cat([targets[:, 1:], torch.full_like(targets[:, :1], -100)], dim=1)


def _everything(ids: Tensor, marks: Marks) -> Tensor:
    return _shifted(ids, ids != marks["pad"])


def _every_end(ids: Tensor, marks: Marks) -> Tensor:
    is_answer = _is_said(ids, marks) & (ids != marks["assistant"])
    return _shifted(ids, is_answer | (ids == marks["end"]))


def _padding(ids: Tensor, marks: Marks) -> Tensor:
    """After the last answer begins, all that follows is scored."""
    is_answer = _is_said(ids, marks) & (ids != marks["assistant"])
    return _shifted(ids, is_answer | (ids == marks["pad"]))


def _last_only(ids: Tensor, marks: Marks) -> Tensor:
    n_opened = (ids == marks["assistant"]).cumsum(dim=1)
    is_last = n_opened == n_opened[:, -1:]
    return _shifted(ids, _is_said(ids, marks) & (ids != marks["assistant"]) & is_last)


def _first_only(ids: Tensor, marks: Marks) -> Tensor:
    is_first = (ids == marks["assistant"]).cumsum(dim=1) == 1
    return _shifted(ids, _is_said(ids, marks) & (ids != marks["assistant"]) & is_first)


def _zeros(ids: Tensor, marks: Marks) -> Tensor:
    return _by_loop(ids, marks).clamp(min=0)


PLANTED = (
    Planted(
        check=check_chat_targets,
        arguments=(torch.tensor([[5, 2, 11, 4, 3, 13, 4, 0]]), MARKS),
        right=(_by_loop, _by_counting, _by_helper),
        wrong={
            _header: "the role's mark is scored",
            _endless: "the end is not scored",
            _not_shifted: "not name the token that it reads",
            _shifted_twice: "it looks two tokens ahead",
            _everything: "the user's words are scored",
            _every_end: "the user's ends are scored",
            _padding: "padding is scored",
            _last_only: "only the last answer is scored",
            _first_only: "only the first answer is scored",
            _zeros: "must be -100",
        },
    ),
)
