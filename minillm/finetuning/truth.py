"""How often what a model says about TinyWorld's stories is true, beside simple rivals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from minillm.finetuning.chatting import Conversation, Sampling
from minillm.generation import stream
from minillm.models.decoder import Decoder
from minillm.text.world import WorldDocument
from minillm.text.world.answers import Asked, questions_of
from minillm.tokenizers import Tokenizer

Answerer = Callable[[WorldDocument], list[str]]  # an answer to each of a document's questions


def true_shares(answer: Answerer, documents: Iterable[WorldDocument]) -> dict[str, float]:
    """Return the share of true answers of each kind of question, and of ``"all"`` of them.

    The farewell asks for nothing; it counts as a kind, and not in ``"all"``.

    Args:
        answer: gives a document's questions their answers, in their order.
        documents: one or more.

    Example:
        >>> from minillm.text.world import TinyWorld
        >>> tell = lambda document: [asked.answer for asked in questions_of(document)]
        >>> true_shares(tell, [TinyWorld().document(3)])["all"]
        1.0
    """
    verdicts: dict[str, list[bool]] = defaultdict(list)
    for document in documents:
        for asked, said in zip(questions_of(document), answer(document), strict=True):
            is_true = asked.is_true(said)
            verdicts[asked.kind].append(is_true)
            if asked.kind != "farewell":
                verdicts["all"].append(is_true)
    return {kind: sum(found) / len(found) for kind, found in verdicts.items()}


def by_conversation(model: Decoder, tokenizer: Tokenizer, *, max_new_tokens: int = 32) -> Answerer:
    """Let a model that was fine-tuned for dialogue answer, the story being the system's message.

    Its own earlier answers stand in the conversation, and it always says the likeliest token.
    """
    sampling = Sampling(max_new_tokens=max_new_tokens, temperature=0)

    def answer(document: WorldDocument) -> list[str]:
        talk = Conversation(model, tokenizer, system=document.text, sampling=sampling)
        return [talk.reply(asked.question) for asked in questions_of(document)]

    return answer


def by_continuation(model: Decoder, tokenizer: Tokenizer, *, max_new_tokens: int = 32) -> Answerer:
    """Let a pretrained model go on after story and question, up to the end of its sentence."""

    def answer(document: WorldDocument) -> list[str]:
        return [_sentence(document, asked) for asked in questions_of(document)]

    def _sentence(document: WorldDocument, asked: Asked) -> str:
        prompt = [tokenizer.bos_id, *tokenizer.encode(f"{document.text} {asked.question}")]
        tokens = stream(
            model,
            prompt,
            max_new_tokens=max_new_tokens,
            temperature=0,
            eos_id=tokenizer.eos_id,
        )
        text = tokenizer.decode([*tokens], skip_special=True)
        ends = [place + 1 for place in map(text.find, ".!?") if place >= 0]
        return text[: min(ends, default=len(text))]

    return answer


def by_another_document(documents: Sequence[WorldDocument]) -> Answerer:
    """Answer with what is true in the next document in which the same is asked.

    Args:
        documents: those that will be asked about, in their order.
    """
    told: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for document in documents:
        for asked in questions_of(document):
            told[asked.kind].append((document.source, asked.answer))
    others = {
        kind: {source: answer for (source, _), (_, answer) in pairwise([*found, found[0]])}
        for kind, found in told.items()
    }

    def answer(document: WorldDocument) -> list[str]:
        return [others[asked.kind][document.source] for asked in questions_of(document)]

    return answer


def by_frequency(documents: Iterable[WorldDocument]) -> Answerer:
    """Answer each kind of question with its most frequent answer.

    Args:
        documents: to count in: of the training split.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for document in documents:
        for asked in questions_of(document):
            counts[asked.kind][asked.answer] += 1
    likeliest = {kind: max(found, key=found.__getitem__) for kind, found in counts.items()}

    def answer(document: WorldDocument) -> list[str]:
        return [likeliest[asked.kind] for asked in questions_of(document)]

    return answer
