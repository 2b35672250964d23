"""The best that any model can reach on documents of TinyWorld, objective by objective.

A floor is given only where it is one: the texts are those of the language, unchanged, and what the
model is asked is what the exact probabilities answer.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

import torch

from minillm.data import PreparedData
from minillm.errors import DataError
from minillm.evaluation import choose_words, draw_pairs
from minillm.evaluation.sentences import PairTask
from minillm.run.judges import EVALUATION_RATE, HeldOut
from minillm.text.sentences import split_sentences
from minillm.text.world import TinyWorld
from minillm.text.world.corpus import is_world, parse_corpus
from minillm.text.world.documents import split_of
from minillm.text.world.floors import mean, next_sentence_probability, sentence_order_probability

Floor = Callable[[TinyWorld, Sequence[str], HeldOut], Mapping[str, float]]
N_PAIRS = 500  # of those the model judges: the exact answer to a pair takes milliseconds


def world_of(corpus: Sequence[str]) -> TinyWorld | None:
    """Return the world that all parts of a corpus are of; None if there is no such one.

    Example:
        >>> world_of(["stdlib"]) is None, world_of(["world:zh"]).language
        (True, 'zh')
    """
    if not all(map(is_world, corpus)):
        return None
    languages = {parse_corpus(name).language for name in corpus}
    return TinyWorld(languages.pop()) if len(languages) == 1 else None


def held_out_texts(corpus: Sequence[str], data: PreparedData) -> list[str]:
    """Return the texts of a run's validation documents.

    Of TinyWorld they are told again: a tokenizer that drops letter case cannot give them back.
    """
    stored = data.documents("validation")
    if world_of(corpus) is not None and not data.tokenizer.is_lossless:
        names = map(parse_corpus, corpus)
        told = [document.text for name in names for document in name.world_documents()]
        texts = [text for text in told if split_of(text) == "validation"]
        encode = data.tokenizer.encode_document
        if len(texts) == len(stored) and all(
            encode(text) == ids.tolist() for text, ids in zip(texts, stored, strict=True)
        ):
            return texts
    return [data.tokenizer.decode(document[1:-1].tolist()) for document in stored]


def code_length_floor(
    world: TinyWorld, texts: Sequence[str], held_out: HeldOut
) -> Mapping[str, float]:
    """Return the exact bits per byte of the texts."""
    bits = sum(world.exact.floor_bits(texts))
    return {"floor_bits_per_byte": bits / held_out.n_bytes}


def hidden_words_floor(
    world: TinyWorld, texts: Sequence[str], held_out: HeldOut
) -> Mapping[str, float]:
    """Return the exact bits of each hidden word given all that is not hidden.

    Nothing, unless every word is one token and every token one word: else the number of [MASK]s
    tells the length of the word, or letter case tells where a hidden sentence ends, which the
    exact probabilities do not know.
    """
    told = [world.parse(text) for text in texts]
    if not _is_one_to_one(told, held_out):
        return {}
    masker, bits, n_words = held_out.masker, 0.0, 0
    for number, (words, document) in enumerate(zip(told, held_out.documents, strict=True)):
        token_ids = torch.from_numpy(document)
        chosen = choose_words(
            masker.words.ids(token_ids[None])[0],
            masker.maskable(token_ids),
            rate=EVALUATION_RATE,
            number=number,
        )
        hidden = (torch.nonzero(chosen)[:, 0] - 1).tolist()  # bos stands before the first word
        posteriors = world.exact.hidden_words(words, hidden)
        bits -= math.fsum(math.log2(p[words[i]]) for p, i in zip(posteriors, hidden, strict=True))
        n_words += len(hidden)
    return {"floor_bits_per_hidden_word": bits / n_words}


def pairs_ceiling(
    task: PairTask, world: TinyWorld, texts: Sequence[str], held_out: HeldOut
) -> Mapping[str, float]:
    """Return the best accuracy at the pairs that the model judges, with its standard error.

    Nothing, if the sentences that the model reads are not those of the language.
    """
    documents = [_sentences_of_words(world, text) for text in texts]
    if held_out.n_judged is not None or [len(d) for d in documents] != [
        len(d) for d in held_out.sentences
    ]:
        return {}
    of_pair = {
        "next-sentence": next_sentence_probability,
        "sentence-order": sentence_order_probability,
    }[task]
    right = []
    for (a, i), (b, j), _ in draw_pairs(held_out.sentences, task)[:N_PAIRS]:
        p = of_pair(world.exact, documents[a][i], documents[b][j])
        right.append(max(p, 1 - p))
    best = mean(right)
    return {
        "best_sentence_accuracy": best.value,
        "best_sentence_accuracy_error": best.standard_error,
    }


def floors(
    floor: Floor | None,
    corpus: Sequence[str],
    texts: Callable[[], Sequence[str]],
    held_out: HeldOut,
) -> dict[str, float]:
    """Return what is known to be the best possible; empty where nothing is known.

    Args:
        floor: of the objective.
        corpus: the names that the texts came from.
        texts: gives the documents' texts, and is asked only where a floor is known.
        held_out: the same documents as the model reads them.
    """
    world = world_of(corpus)
    if floor is None or world is None:
        return {}
    try:
        return dict(floor(world, texts(), held_out))
    except DataError:  # a text that the language cannot say: it was changed on the way
        return {}


def _is_one_to_one(told: Sequence[Sequence[str]], held_out: HeldOut) -> bool:
    """Tell whether every word is always the same one token, and no token is two words."""
    token_of, word_of = {}, {}
    for words, document in zip(told, held_out.documents, strict=True):
        token_ids = document[1:-1].tolist()
        if len(token_ids) != len(words) - 1:  # the end of the document is eos
            return False
        for word, token in zip(words, token_ids, strict=False):
            if (token_of.setdefault(word, token), word_of.setdefault(token, word)) != (token, word):
                return False
    return True


def _sentences_of_words(world: TinyWorld, text: str) -> list[list[str]]:
    """Return the words of each sentence of a document's text, as the splitter cuts it."""
    words = world.parse(text)[:-1]
    starts = [start for start, _ in world.exact.rendering.spans(words)]
    pieces = split_sentences(text, language="zh" if world.language == "zh" else "en")
    ends = list(accumulate(map(len, pieces)))
    sentences: list[list[str]] = [[] for _ in pieces]
    for word, start in zip(words, starts, strict=True):
        sentences[bisect_right(ends, start)].append(word)
    return sentences
