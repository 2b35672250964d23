"""Talking to a model in the terminal, or through a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable

from minillm.errors import DataError
from minillm.finetuning.chatting import Conversation

_PROMPT = "> "


def talk(conversation: Conversation, *, say: Callable[[str], None]) -> int:
    """Answer line after line of stdin, each token as soon as it is drawn.

    Ctrl-C stops an answer; at the prompt it leaves, as Ctrl-D does. Without a terminal each line
    of stdin is a message, and stdout has the answers alone.

    Args:
        conversation: goes on from what was said before.
        say: gets one line for each thing that is no answer.

    Returns:
        The exit status: 0, or 2 if a message had no room.
    """
    if hasattr(sys.stdin, "reconfigure"):  # bytes that are no UTF-8 must not end the conversation
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # pyright: ignore
    is_terminal = sys.stdin.isatty()
    if is_terminal:
        say("Ctrl-C stops an answer; Ctrl-D leaves")
    status = 0
    while (text := _read(is_terminal)) is not None:
        if not text.strip():
            continue
        try:
            _answer(conversation, text, say=say)
        except DataError as error:
            say(f"minillm: {error}")
            status = error.exit_status
    if is_terminal:
        _write("\n")
    return status


def _read(is_terminal: bool) -> str | None:
    """Return the next message; None if there will be no more."""
    try:
        line = input(_PROMPT) if is_terminal else sys.stdin.readline()
    except (EOFError, KeyboardInterrupt):
        return None
    return line if line or is_terminal else None


def _answer(conversation: Conversation, text: str, *, say: Callable[[str], None]) -> None:
    pieces = conversation.stream(text.strip())
    try:
        for number, piece in enumerate(pieces):
            if number == 0 and conversation.n_dropped:
                n = conversation.n_dropped
                say(f"(the oldest {n} turn{'s' * (n > 1)} had no room any more and are forgotten)")
            _write(piece)
    except KeyboardInterrupt:
        _write(" …")
    _write("\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
