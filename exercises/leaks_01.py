"""Notebook 01's experiments on copies, leaks and secrets, with the model that only counts bytes.

Dimension key: R candidates, D digits of a secret.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from minillm.batch import Batch
from minillm.config import NgramConfig
from minillm.evaluation import evaluate_documents
from minillm.models.ngram import Ngram
from minillm.tokenizers.bytes import ByteTokenizer

TOKENIZER = ByteTokenizer()
_TEA = (
    "Black tea is steeped for three minutes in water that has just boiled, green tea for two in "
    "water that has cooled a little; the leaves are taken out, because what they give later is "
    "bitter, and the pot is kept warm under a cloth until the guests have come and have sat down."
)
MESS = {
    "accents.txt": "A cafe\u0301 is where the re\u0301sume\u0301 of a day is made over a cup.",
    "blob.txt": "aGVsbG8gd29ybGQgaG93IGFyZSB5b3U" * 8,
    "chinese.txt": "面包是用面粉、水和盐做成的，在烤箱里烤半个小时，然后放在桌子上慢慢变凉。",
    "coffee.txt": "The crème brûlée at the café was “very good”, said Zoë.".encode().decode(
        "latin-1"
    ),
    "german.txt": "Das Brot wird aus Mehl, Wasser und Salz gemacht, und dann wird es in dem Ofen "
    "eine halbe Stunde gebacken, bis die Kruste braun ist und der ganze Raum danach riecht.",
    "log.txt": "\x1b[31mThe oven is hot\x1b[0m and the dough\u200b has risen.\x00 Bake it now.",
    "page.txt": "<html><head><style>p {color: red}</style></head><body><nav>Home | Log in</nav>"
    "<p>Salt &amp; pepper stand on the table.</p><script>track()</script></body></html>",
    "tea.txt": _TEA,
    "tea_again.txt": _TEA.replace("three minutes", "four minutes"),
    "tea_copy.txt": _TEA.upper().replace(" ", "  "),
    "tiny.txt": "ok",
    "wiki.txt": "'''Bread''' is a [[food|staple food]] made of [[flour]].<ref>A cook.</ref>\n"
    "{{Infobox food|name=Bread|image=bread.jpg}}\n== History ==\nIt is ''very'' old.",
}


def write_mess(folder: Path) -> Path:
    """Write a folder with the dirt that every collection has; return it."""
    for name, text in MESS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def touched(text: str, n_words: int, rng: np.random.Generator) -> str:
    """Replace ``n_words`` of a text's words, at random places, by words that nobody has seen."""
    places = [match.span() for match in re.finditer(r"\w+", text)]
    chosen = rng.choice(len(places), min(n_words, len(places)), replace=False)
    for start, end in sorted((places[i] for i in chosen), reverse=True):
        text = f"{text[:start]}other{rng.integers(10**6)}{text[end:]}"
    return text


def plant_copies(
    pages: list[str], n_changed: Sequence[int], n_copies: int, rng: np.random.Generator
) -> dict[int, list[tuple[int, int]]]:
    """Append copies with changed words to ``pages``.

    Returns:
        For each number of changed words the pairs (place of the original, place of its copy).
    """
    n_originals = len(pages)
    planted: dict[int, list[tuple[int, int]]] = {}
    for n in n_changed:
        for original in rng.choice(n_originals, n_copies, replace=False).tolist():
            planted.setdefault(n, []).append((original, len(pages)))
            pages.append(touched(pages[original], n, rng))
    return planted


def lines_of(texts: Sequence[str]) -> list[str]:
    """Return the lines of all texts that are not blank, with their newlines."""
    return [line for text in texts for line in text.splitlines(keepends=True) if line.strip()]


def counted(texts: Sequence[str], order: int) -> Ngram:
    """Return an n-gram model over bytes that has read the texts."""
    model = Ngram(NgramConfig(vocab_size=TOKENIZER.vocab_size, order=order))
    stream = np.concatenate([TOKENIZER.encode_document(text) for text in texts])
    model.fit(stream, bos_id=TOKENIZER.bos_id)
    return model


def bits_per_byte(model: Ngram, texts: Sequence[str]) -> float:
    """Return the bits per byte of whole texts, the end of each charged."""
    encoded = [TOKENIZER.encode_document(text) for text in texts]
    n_bytes = sum(len(text.encode()) for text in texts)
    return evaluate_documents(model, encoded, n_bytes=n_bytes, batch_size=64).bits_per_byte


def exposure(model: Ngram, prompt: str, secret: str) -> float:
    """Return log2 R - log2 rank of a secret number among all R = 10^D of its length.

    Equal probabilities share the mean of their ranks (Carlini et al. 2019, arXiv:1802.08232,
    section 4: definition 2).

    Args:
        model: over bytes.
        prompt: what stands before the secret.
        secret: D digits.

    Example:
        >>> model = counted(["code 07.", "code 07.", "or 12."], 6)
        >>> f"{exposure(model, 'code ', '07'):.2f} of {math.log2(100):.2f} bits"
        '6.64 of 6.64 bits'
    """
    n_digits = len(secret)
    candidates = [TOKENIZER.encode(f"{x:0{n_digits}d}") for x in range(10**n_digits)]
    before = torch.tensor([TOKENIZER.encode(prompt)]).expand(len(candidates), -1)
    ids = torch.cat([before, torch.tensor(candidates)], 1)
    scores = model.log_probs(Batch(inputs=ids[:, :-1], targets=ids[:, 1:]))[:, -n_digits:].sum(1)
    mine = scores[int(secret)]
    rank = int((scores > mine).sum()) + (int((scores == mine).sum()) + 1) / 2
    return math.log2(len(candidates) / rank)
