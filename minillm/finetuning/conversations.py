"""Conversations, as they come from a file of JSON lines or from TinyWorld.

What a file must hold stands in docs/finetuning.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from minillm.errors import ConfigError, DataError
from minillm.finetuning.reading import Record
from minillm.text.records import read_json_lines
from minillm.text.world import WorldDocument
from minillm.text.world.corpus import is_world, parse_corpus
from minillm.text.world.dialogue import converse

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = get_args(Role)
_OTHER_TASKS = {"label": "classify", "spans": "tag", "words": "tag", "question": "qa"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What one side says; the system's message is what both know from the beginning."""

    role: Role
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DialogueExample:
    """A conversation to learn from: perhaps a system's message, then user and assistant in turn."""

    messages: tuple[Message, ...]
    source: str = ""  # such as "chats.jsonl:12"

    @property
    def group(self) -> str:
        """What must not stand on both sides of a split: how the conversation begins."""
        return self.messages[0].content


def read_conversations(path: Path | str) -> list[DialogueExample]:
    """Read conversations, one JSON object a line, and check the order of their roles.

    Args:
        path: a .jsonl or .jsonl.gz file of UTF-8.

    Raises:
        ConfigError: there is no such file.
        DataError: the first line that does not fit, with its number, its field, what came and what
            was expected; or a file without any conversation.

    Example:
        ``read_conversations("chats.jsonl")[0].messages[-1].role``
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path} is no file; name a .jsonl file with one conversation a line")
    found = [_conversation(Record(place, value)) for place, value in read_json_lines(path)]
    if not found:
        raise DataError(f"{path.as_posix()} holds no conversation: every line is blank")
    return found


def load_conversations(data: Path | str) -> list[DialogueExample]:
    """Read a file of conversations, or make them of TinyWorld.

    Args:
        data: a path as for ``read_conversations``, or a corpus of TinyWorld such as
            ``"world:documents=100,split=test"``.

    Raises:
        ConfigError: there is no such file or world.
        DataError: a line that does not fit, with its number.

    Example:
        >>> conversation, = load_conversations("world:documents=1")
        >>> [message.role for message in conversation.messages[:3]]
        ['system', 'user', 'assistant']
    """
    if not is_world(str(data)):
        return read_conversations(data)
    return [world_conversation(one) for one in parse_corpus(str(data)).world_documents()]


def world_conversation(document: WorldDocument) -> DialogueExample:
    """Let the two people of a document talk; its text comes first, so that answers can be true."""
    turns = (Message(role=turn.role, content=turn.text) for turn in converse(document))
    story = Message(role="system", content=document.text)
    return DialogueExample(messages=(story, *turns), source=document.source)


def expected_role(before: Sequence[Message]) -> tuple[Role, ...]:
    """Return who may speak after these messages."""
    if not before:
        return ("system", "user")
    return ("assistant",) if before[-1].role == "user" else ("user",)


def _conversation(record: Record) -> DialogueExample:
    if "messages" not in record.fields:
        _refuse_other_task(record)
    messages: list[Message] = []
    for message in record.records("messages"):
        role = message.text("role")
        if role not in ROLES:
            message.refuse("role", f"one of {', '.join(ROLES)}")
        allowed = expected_role(messages)
        if role not in allowed:
            before = f"after {messages[-1].role}" if messages else "first"
            message.refuse("role", f"{' or '.join(allowed)} {before} (roles alternate)")
        messages.append(Message(role=cast(Role, role), content=message.text("content")))
    if not messages:
        record.refuse("messages", "at least a user's message and the assistant's answer")
    if messages[-1].role != "assistant":
        last = f"{messages[-1].role} (messages[{len(messages) - 1}])"
        record.refuse("messages", "an answer of the assistant at the end", last)
    return DialogueExample(messages=tuple(messages), source=record.place)


def _refuse_other_task(record: Record) -> None:
    tasks = sorted({task for name, task in _OTHER_TASKS.items() if name in record.fields})
    hint = f"; it looks like a line of {tasks[0]}, and a file is of one task" if tasks else ""
    record.refuse("messages", f"a list of objects{hint}")
