"""Conversations as tokens: roles are special tokens, and only the assistant's words are learned.

Dimension key: B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from minillm.batch import IGNORE_INDEX, Batch, row_padding, stack_rows
from minillm.errors import ConfigError, DataError
from minillm.finetuning.conversations import DialogueExample, Message
from minillm.tokenizers import Tokenizer

ROLE_TOKENS = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
END_TOKEN = "<|end|>"  # of a message
CHAT_TOKENS = (*ROLE_TOKENS.values(), END_TOKEN)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRow:
    """A conversation as tokens."""

    token_ids: list[int]
    is_scored: list[bool]  # of each token: does the model learn to write it?
    n_cut: int = 0  # tokens of the oldest turns, which were too many


class Kept(NamedTuple):
    """What of a conversation fits."""

    messages: tuple[Message, ...]
    n_dropped: int  # turns (a question and its answer) that were left out, the oldest ones


class ChatTemplate:
    """Writes a conversation as ``bos <|user|> text <|end|> <|assistant|> text <|end|> …``.

    The marks are ids of their own, which no text can contain: "<|assistant|>" in a message is
    encoded as those thirteen characters, so that a user cannot speak for the assistant.

    Args:
        tokenizer: has ``CHAT_TOKENS`` among its special tokens.

    Raises:
        ConfigError: it lacks them.

    Example:
        >>> from minillm.tokenizers import DEFAULT_SPECIAL_TOKENS, ByteTokenizer
        >>> tokenizer = ByteTokenizer(special_tokens=(*DEFAULT_SPECIAL_TOKENS, *CHAT_TOKENS))
        >>> row = ChatTemplate(tokenizer).row(
        ...     [Message(role="user", content="Hi"), Message(role="assistant", content="Yo")]
        ... )
        >>> tokenizer.decode(row.token_ids)
        '<|bos|><|user|>Hi<|end|><|assistant|>Yo<|end|>'
        >>> tokenizer.decode([i for i, scored in zip(row.token_ids, row.is_scored) if scored])
        'Yo<|end|>'
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        missing = [token for token in CHAT_TOKENS if token not in tokenizer.special_tokens]
        if missing:
            raise ConfigError(
                f"the model knows no chat template (its tokenizer lacks {', '.join(missing)}): "
                "run minillm finetune --task dialogue first"
            )
        self.tokenizer = tokenizer
        self._role_ids = {role: tokenizer.special_tokens[t] for role, t in ROLE_TOKENS.items()}
        self.end_id = tokenizer.special_tokens[END_TOKEN]

    def message_ids(self, message: Message) -> list[int]:
        """Return a message between its role and its end."""
        text = self.tokenizer.encode(message.content)
        return [self._role_ids[message.role], *text, self.end_id]

    def row(self, messages: Sequence[Message], *, n_cut: int = 0) -> ChatRow:
        """Write a conversation; the assistant's texts and their ends are scored, nothing else."""
        token_ids, is_scored = [self.tokenizer.bos_id], [False]
        for message in messages:
            ids = self.message_ids(message)
            token_ids += ids
            is_scored += [False, *[message.role == "assistant"] * (len(ids) - 1)]
        return ChatRow(token_ids=token_ids, is_scored=is_scored, n_cut=n_cut)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Write a conversation up to where the assistant begins to speak."""
        return [*self.row(messages).token_ids, self._role_ids["assistant"]]

    def fit(self, messages: Sequence[Message], *, max_tokens: int) -> Kept:
        """Leave out whole turns, the oldest first, until a conversation has room.

        A turn is a user's message and the answer to it. The system's message always stays, and the
        last turn too.

        Args:
            messages: in order; the last one may be an unanswered question.
            max_tokens: of what is kept, bos included.

        Raises:
            DataError: what must stay has no room.
        """
        head = tuple(one for one in messages[:1] if one.role == "system")
        said = tuple(messages[len(head) :])
        starts = [i for i, message in enumerate(said) if message.role == "user"]
        lengths = [len(self.message_ids(message)) for message in said]
        needed = fixed = 1 + sum(len(self.message_ids(message)) for message in head)
        for n_dropped, start in enumerate(starts):
            needed = fixed + sum(lengths[start:])
            if needed <= max_tokens:
                return Kept((*head, *said[start:]), n_dropped)
        raise DataError(
            f"the last turn{' with the system message' if head else ''} has {needed} tokens, more "
            f"than the {max_tokens} that there is room for: shorten it, or take a model with a "
            "longer context"
        )

    def training_row(self, example: DialogueExample, *, max_tokens: int) -> ChatRow:
        """Write an example as a row of at most ``max_tokens``; ``n_cut`` counts what was dropped.

        Raises:
            DataError: its last turn alone is too long.
        """
        try:
            kept = self.fit(example.messages, max_tokens=max_tokens)
        except DataError as error:
            raise DataError(f"{example.source or 'a conversation'}: {error}") from None
        n_all = 1 + sum(len(self.message_ids(message)) for message in example.messages)
        row = self.row(kept.messages)
        return ChatRow(
            token_ids=row.token_ids, is_scored=row.is_scored, n_cut=n_all - len(row.token_ids)
        )


def chat_batch(rows: Sequence[ChatRow], *, pad_id: int) -> Batch:
    """Stack rows for a model that predicts each next token.

    Args:
        rows: one or more.
        pad_id: fills up on the right.

    Returns:
        Inputs (B, T) and targets (B, T): position t predicts token t + 1 if that one is scored,
        and is ``IGNORE_INDEX`` otherwise; is_padding where there is any.

    Example:
        >>> row = ChatRow(token_ids=[7, 8, 9], is_scored=[False, False, True])
        >>> batch = chat_batch([row], pad_id=0)
        >>> batch.inputs.tolist(), batch.targets.tolist()
        ([[7, 8]], [[-100, 9]])
    """
    inputs = [row.token_ids[:-1] for row in rows]
    targets = [
        [
            token if scored else IGNORE_INDEX
            for token, scored in zip(row.token_ids[1:], row.is_scored[1:], strict=True)
        ]
        for row in rows
    ]
    is_padding = row_padding(inputs)
    return Batch(
        inputs=stack_rows(inputs, fill=pad_id),
        targets=stack_rows(targets, fill=IGNORE_INDEX),
        is_padding=is_padding if bool(is_padding.any()) else None,
    )
