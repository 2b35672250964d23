"""Talking to a model that was fine-tuned for dialogue."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from minillm.config import ChatConfig
from minillm.errors import ConfigError
from minillm.finetuning.chat_template import ChatTemplate
from minillm.finetuning.conversations import Message
from minillm.finetuning.dialogue import load_chat
from minillm.generation import stream
from minillm.models.decoder import Decoder
from minillm.runtime import resolve_device
from minillm.tokenizers import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How an answer is drawn; the names are those of ``minillm.generation.generate``."""

    max_new_tokens: int = 200
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0


class Conversation:
    """A conversation with a model; it remembers what was said, as far as it has room.

    Args:
        model: fine-tuned for dialogue.
        tokenizer: its own.
        system: what both sides know from the beginning, such as a story.
        sampling: how answers are drawn; ``None`` takes the defaults.

    Attributes:
        messages: what the model still remembers.
        n_dropped: turns that the last answer no longer had room for, the oldest ones.

    Raises:
        ConfigError: the tokenizer knows no roles, or the system's message is blank.

    Example:
        ``Conversation(model, tokenizer, system=story).reply("Where did you put it?")``
    """

    def __init__(
        self,
        model: Decoder,
        tokenizer: Tokenizer,
        *,
        system: str | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        if system is not None and not system.strip():
            raise ConfigError("the system message is blank: write something, or leave it out")
        self.model, self.template = model, ChatTemplate(tokenizer)
        self.sampling = Sampling() if sampling is None else sampling
        self.messages = [] if system is None else [Message(role="system", content=system)]
        self.n_dropped = self._n_turns = 0

    def reply(self, text: str) -> str:
        """Answer a message.

        Raises:
            ConfigError: the message is blank.
            DataError: the message has no room, even when everything older is forgotten; it is
                not remembered.
        """
        return "".join(self.stream(text)).strip()

    def stream(self, text: str) -> Iterator[str]:
        """Answer a message piece by piece; errors as ``reply``, at the call.

        Whoever stops in the middle has what was said until then remembered.
        """
        if not text.strip():
            raise ConfigError("the message is blank: there is nothing to answer")
        limit, sampling = self.model.config.context_length, self.sampling
        room = min(sampling.max_new_tokens, max(limit // 4, 1))  # for the answer at least
        asked = Message(role="user", content=text)
        kept = self.template.fit([*self.messages, asked], max_tokens=limit - 1 - room)
        prompt = self.template.prompt(kept.messages)
        tokens = stream(
            self.model,
            prompt,
            max_new_tokens=min(sampling.max_new_tokens, limit - len(prompt)),
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            eos_id=self.template.end_id,
            seed=sampling.seed + self._n_turns,
        )
        return self._answer([*kept.messages], kept.n_dropped, tokens)

    def _answer(
        self, messages: list[Message], n_dropped: int, tokens: Iterator[int]
    ) -> Iterator[str]:
        """Give out the answer's pieces; then remember it."""
        self.n_dropped = n_dropped
        self._n_turns += 1
        pieces: list[str] = []
        try:
            for piece in self.template.tokenizer.decode_stream(self._words(tokens)):
                pieces.append(piece)
                yield piece
        finally:
            answer = Message(role="assistant", content="".join(pieces).strip())
            self.messages = [*messages, answer]

    def _words(self, tokens: Iterator[int]) -> Iterator[int]:
        """Pass tokens on until the end of the message, or of the document, or another role."""
        special = {*self.template.tokenizer.special_tokens.values()}
        for token in tokens:
            if token in special:
                return
            yield token


def open_conversation(config: ChatConfig) -> Conversation:
    """Begin the conversation that ``minillm chat`` asks for.

    Raises:
        ConfigError: no such checkpoint, one without a chat template, or no such file of --system.
        CheckpointError: the checkpoint is damaged.
    """
    sampling = Sampling(
        max_new_tokens=config.max_new_tokens,
        temperature=config.temperature,
        top_k=config.top_k,
        top_p=config.top_p,
        seed=config.seed,
    )
    loaded = load_chat(config.checkpoint, device=resolve_device(config.device))
    system = _system_text(config.system)
    return Conversation(loaded.model, loaded.tokenizer, system=system, sampling=sampling)


def _system_text(system: str | None) -> str | None:
    if system is None or not system.startswith("@"):
        return system
    try:
        return Path(system[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--system {system} cannot be read as a UTF-8 file: {error}") from error


def chat(conversation: Conversation, texts: Sequence[str]) -> None:
    """Say several things, one after the other, and print both sides: a chat in a notebook's cell.

    Args:
        conversation: goes on from what was said before.
        texts: the user's messages.

    Example:
        ``chat(Conversation(model, tokenizer, system=story), ["Hello, Ann!", "Where is it?"])``
    """
    for text in texts:
        sys.stdout.write(f"user       {text}\n")
        sys.stdout.write(f"assistant  {conversation.reply(text)}\n")
