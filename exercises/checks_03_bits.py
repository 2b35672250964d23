"""The third check of notebook 03: what a text costs, whatever its tokens are."""

from __future__ import annotations

import math
import sys

import torch

from exercises.harness import Attempt, Mistakes, exercise

Losses = list[list[float]]


def _nats(losses: Losses) -> float:
    return math.fsum(x for document in losses for x in document)


def _bits(losses: Losses) -> float:
    return _nats(losses) / math.log(2)


def _n_tokens(losses: Losses) -> int:
    return sum(map(len, losses))


def _n_bytes(texts: list[str]) -> int:
    return sum(len(text.encode()) for text in texts)


BITS_MISTAKES: Mistakes = {
    "it returns nats: divide by ln 2 for bits": lambda losses, texts: (
        _nats(losses) / _n_bytes(texts)
    ),
    "it multiplies by ln 2 where it should divide: a bit is less than a nat, so there are more": (
        lambda losses, texts: _nats(losses) * math.log(2) / _n_bytes(texts)
    ),
    "it divides by log2(e) twice, or takes log10: a nat is 1 / ln 2 bits": lambda losses, texts: (
        _nats(losses) / math.log(10) / _n_bytes(texts)
    ),
    "it counts per token: who makes longer tokens would look worse, and 1,000 tokens of one text "
    "are not 1,000 of another": lambda losses, texts: _bits(losses) / _n_tokens(losses),
    "it counts per character: in UTF-8 a character may have several bytes": lambda losses, texts: (
        _bits(losses) / sum(map(len, texts))
    ),
    "it counts the bytes of a Python object or of UTF-16: take text.encode('utf-8')": (
        lambda losses, texts: _bits(losses) / sum(len(t.encode("utf-16-le")) for t in texts)
    ),
    "it counts the bytes of Python objects: take len(text.encode('utf-8'))": lambda losses, texts: (
        _bits(losses) / sum(map(sys.getsizeof, texts))
    ),
    "it averages the documents' values: add all bits, add all bytes, then divide": (
        lambda losses, texts: (
            sum(_bits([x]) / _n_bytes([t]) for x, t in zip(losses, texts, strict=True)) / len(texts)
        )
    ),
    "it leaves out the last token: that a text ends is information too": lambda losses, texts: (
        _bits([document[:-1] for document in losses]) / _n_bytes(texts)
    ),
    "it returns a perplexity: bits per byte are not exponentiated": lambda losses, texts: (
        2 ** (_bits(losses) / _n_bytes(texts))
    ),
    "it is upside down: bits on top, bytes below": lambda losses, texts: (
        _n_bytes(texts) / _bits(losses)
    ),
    "it returns the sum: divide by the bytes of the texts": lambda losses, texts: _bits(losses),
}


@exercise("bits per byte")
def check_bits_of_texts(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``bits_of_texts(losses, texts)``: a float.

    ``losses[i]`` holds −log p, in nats, of each token of document i and of its end; ``texts[i]``
    is the document.
    """
    ln2 = math.log(2)
    losses = [[2 * ln2, 3 * ln2, ln2], [4 * ln2, 2 * ln2]]  # 6 and 6 bits
    texts = ["naïve", "é今"]  # 6 and 5 bytes, 5 and 2 characters
    attempt.equals("two short documents", (losses, texts), 12 / 11, BITS_MISTAKES)
    given = (losses[::-1], texts[::-1])
    attempt.equals("the same in another order", given, 12 / 11, BITS_MISTAKES)
    attempt.equals("one token, its end is free", ([[ln2, 0.0]], ["a"]), 1.0, BITS_MISTAKES)
    attempt.equals("an empty document beside one", ([[ln2], [ln2]], ["", "a"]), 2.0)

    draws = torch.rand(17, generator=generator, dtype=torch.float64).tolist()
    one, text = [draws], ["今天天气很好。Nice weather!"]
    value = attempt(one, text)
    expected = math.fsum(draws) / ln2 / len(text[0].encode())
    attempt.equals("seventeen tokens", (one, text), expected, BITS_MISTAKES)
    halves = [[x / 2 for x in draws for _ in range(2)]]  # twice the tokens, each half as costly
    what = "another tokenizer: twice as many tokens, each half as surprising"
    mistake = "the value changes, though the text and its probability are the same"
    attempt.holds(what, math.isclose(attempt(halves, text), value, rel_tol=1e-9), mistake)
