"""Compute the numbers of TinyWorld for docs/tinyworld.md, and the hashes that its tests expect.

    python scripts/world_numbers.py                      print the table
    python scripts/world_numbers.py --write              and put both where they belong
    python scripts/world_numbers.py --write-hashes       only the hashes, in a second

To be run after the story or a language changed. 100,000 documents take a minute for each language.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from minillm.text.world import TinyWorld
from minillm.text.world.report import entropy_report

PAGE = Path(__file__).parents[1] / "docs" / "tinyworld.md"
HASHES = Path(__file__).parents[1] / "tests" / "text" / "world" / "document_hashes.json"
N_HASHED = 1000  # documents
BEGIN, END = "<!-- numbers -->\n", "<!-- end of numbers -->\n"
SEED = 2026  # any other gives the same up to the errors stated
ROWS = {
    "analytic_bits_per_document": "entropy per document, closed form (bits)",
    "monte_carlo_bits_per_document": "mean −log2 p of drawn documents (bits)",
    "script_and_wording_bits": "· script and wording (bits)",
    "choices_bits": "· memoryless choices (bits)",
    "facts_bits": "· facts, topic summed out (bits)",
    "topic_ambiguity_bits": "H(topic given the document) (bits)",
    "words_per_document": "words per document, punctuation and end included",
    "sentences_per_document": "sentences per document",
    "bytes_per_document": "UTF-8 bytes per document",
    "bits_per_word": "**floor, bits per word**",
    "bits_per_byte": "**floor, bits per byte**",
    "next_word_accuracy": "best next-word accuracy",
    "limited_bits_per_word": "a reader of this and the 6 sentences before (bits per word)",
    "limited_excess_bits_per_word": "· what that costs (bits per word)",
    "masked_bits_per_word": "15 % of words [MASK]: floor, bits per hidden word",
    "masked_accuracy": "· best accuracy",
    "next_sentence_accuracy": "next sentence: best accuracy",
    "sentence_order_accuracy": "sentence order: best accuracy",
    "topic_accuracy": "topic of the whole document: best accuracy",
}


def table(reports: Mapping[str, Mapping[str, float]]) -> str:
    """Return a Markdown table with a column for each language."""
    lines = ["| | " + " | ".join(reports) + " |", "|---|" + "--:|" * len(reports)]
    for key, text in ROWS.items():
        cells = []
        for numbers in reports.values():
            error = numbers.get("standard_error" if "monte" in key else f"{key}_error")
            cells.append(f"{numbers[key]:.4f}" + ("" if error is None else f" ± {error:.4f}"))
        lines.append(f"| {text} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def document_hashes() -> dict[str, dict[str, int | str]]:
    """Hash the first documents of a seed, in both languages."""
    hashes: dict[str, dict[str, int | str]] = {}
    for language in ("en", "zh"):
        world, digest = TinyWorld(language, SEED), hashlib.sha256()
        for number in range(N_HASHED):
            digest.update(world.document(number).text.encode() + b"\n")
        found = {"seed": SEED, "first": 0, "documents": N_HASHED, "sha256": digest.hexdigest()}
        hashes[language] = found
    return hashes


def main() -> None:
    """Compute, print and perhaps write."""
    parser = argparse.ArgumentParser(description="Compute the numbers of TinyWorld.")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--slow", type=int, default=5_000, help="documents for masked words")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--write-hashes", action="store_true")
    arguments = parser.parse_args()
    if arguments.write or arguments.write_hashes:
        HASHES.write_text(json.dumps(document_hashes(), indent=1) + "\n", "utf-8")
    if arguments.write_hashes:
        return
    reports = {}
    for code, name in {"en": "English", "zh": "Chinese"}.items():
        world = TinyWorld(language=code, seed=SEED)
        documents = []
        for number in range(arguments.documents):
            told = world.document(number).sentences
            documents.append([[word.text for word in sentence] for sentence in told])
        reports[name] = entropy_report(
            world.exact, documents, n_pairs=arguments.pairs, n_slow=arguments.slow
        )
    text = table(reports)
    print(text)
    if arguments.write:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(before + BEGIN + text + END + after, "utf-8")


if __name__ == "__main__":
    main()
