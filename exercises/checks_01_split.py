"""The check of notebook 01's split: its result is free, its properties are not."""

from __future__ import annotations

import builtins
import math
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from exercises.harness import Attempt, exercise, plain

_N_DOCUMENTS = 2000
_OPENING = "Copyright: see the license\nof this collection.\n\n"


def _documents(start: int, stop: int) -> list[str]:
    """Write documents of five lines that all open in the same way."""
    return [f"{_OPENING}Note {i}\n{'la ' * (i % 7)}and so on." for i in range(start, stop)]


@contextmanager
def another_process(salt: int) -> Iterator[None]:
    """Let ``hash`` return what it would return in some other process.

    Python salts the hashes of strings when it starts (``PYTHONHASHSEED``), so that two processes
    disagree. Starting two would take longer than a check may; a test does it.
    """
    of_this_process = builtins.hash
    builtins.hash = lambda value: of_this_process((salt, value))
    try:
        yield
    finally:
        builtins.hash = of_this_process


def _sides(attempt: Attempt, documents: list[str], fraction: float) -> tuple[list[str], list[str]]:
    """Run the attempt and ask for two lists that hold the documents, each once, whole."""
    result: Any = plain(attempt(documents, fraction))
    is_pair = isinstance(result, list) and len(result) == 2
    attempt.holds(
        "the result",
        is_pair and all(isinstance(side, list) for side in result),
        "return two lists: (train, validation)",
    )
    train, validation = result
    got, wanted = Counter(map(str, train + validation)), Counter(documents)
    lines = {line for text in documents for line in text.splitlines(keepends=True)}
    pieces = {piece for piece in got if piece not in wanted}
    attempt.holds(
        "whole documents",
        not pieces or not all(p in lines or p + "\n" in lines for p in pieces),
        "it splits lines: the lines before and after a held-out one give its words away. The "
        "document is the unit",
        a_piece=min(pieces, default=""),
    )
    attempt.holds(
        "whole documents", not pieces, "it changes texts", a_piece=min(pieces, default="")
    )
    attempt.holds(
        "every document",
        got == wanted,
        "it loses documents: each one given, copies too, must be on one side",
        given=len(documents),
        returned=len(train) + len(validation),
    )
    return train, validation


def _check_share(attempt: Attempt, n_held_out: int, fraction: float) -> None:
    """Bound the share by 5 σ of the binomial: a good hash fails in one of 1.7 million."""
    sigma = math.sqrt(fraction * (1 - fraction) / _N_DOCUMENTS)
    share = n_held_out / _N_DOCUMENTS
    shown = {"share": share, "fraction": fraction}
    attempt.holds(
        "the share",
        0 < n_held_out < _N_DOCUMENTS,
        "all documents are on one side: they open with the same lines, so hash all of the text, "
        "not its beginning",
        **shown,
    )
    attempt.holds(
        "the share",
        abs(1 - share - fraction) > 5 * sigma,
        "the sides are exchanged: (train, validation), and fraction is the validation's",
        **shown,
    )
    attempt.holds(
        "the share",
        abs(share - fraction) <= 5 * sigma,
        "it is not near the fraction: lengths and first letters are not uniform, a hash is",
        **shown,
    )


@exercise("split by document")
def check_split(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``split(documents, fraction)``: two lists of whole texts, (train, validation)."""
    documents = _documents(0, _N_DOCUMENTS)
    _, held_out = _sides(attempt, documents, 0.2)
    _check_share(attempt, len(held_out), 0.2)

    with another_process(salt=1):
        _, elsewhere = _sides(attempt, documents, 0.2)
    attempt.holds(
        "another process",
        sorted(elsewhere) == sorted(held_out),
        "it uses Python's hash(), which is salted anew whenever Python starts: tomorrow other "
        "documents are held out, and today's model has read them. Use hashlib or zlib.crc32",
    )
    shuffled = documents.copy()
    random.Random(int(torch.randint(10**6, (), generator=generator))).shuffle(shuffled)
    _, again = _sides(attempt, shuffled, 0.2)
    attempt.holds(
        "another order",
        sorted(again) == sorted(held_out),
        "the side depends on the place in the list: a folder read in another order gives another "
        "split. It may depend on the text alone",
    )
    _, grown = _sides(attempt, documents + _documents(_N_DOCUMENTS, _N_DOCUMENTS + 300), 0.2)
    attempt.holds(
        "300 documents more",
        set(grown) & set(documents) == set(held_out),
        "new documents move old ones to the other side: compare each hash with a fixed limit, "
        "not with the other hashes",
    )
    copies = _documents(0, 60) * 2
    train, validation = _sides(attempt, copies, 0.5)
    attempt.holds(
        "copies",
        not set(train) & set(validation),
        "the copies of a text are on both sides: what is tested was read",
    )
    _sides(attempt, ["one document alone"], 0.2)
