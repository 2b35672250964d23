"""All numbers about a language in one table: what it is worth, and the best that can be reached."""

from __future__ import annotations

from collections.abc import Sequence

from minillm.text.world import floors
from minillm.text.world.exact import ExactModel


def entropy_report(
    exact: ExactModel,
    documents: Sequence[floors.Sentences],
    *,
    n_pairs: int = 2000,
    n_slow: int = 1000,
    seed: int = 0,
) -> dict[str, float]:
    """Compute the entropy in closed form and by drawn documents, and the floors of the tasks.

    Args:
        exact: the engine of the documents' language.
        documents: drawn documents, each a row of sentences, with or without ``[END_WORD]``.
        n_pairs: pairs of sentences for the two tasks on pairs.
        n_slow: documents for the floors that read each of them more than once (masked words,
            limited context, topic); a tenth of them for the next word.
        seed: of what is hidden and which pairs are drawn.

    Returns:
        A number for each name; ``…_error`` is the standard error of what stands before it.
        Numbers "per word" count punctuation and the end of the document as words.
    """
    entropy = exact.entropy()
    drawn = floors.bits_per_document(exact, documents)
    n_bytes = floors.bytes_per_document(exact, documents)
    some = documents[:n_slow]
    masked = floors.masked_words(exact, some, seed=seed)
    limited, excess = floors.limited_context(exact, some)
    numbers = {
        "analytic_bits_per_document": entropy.total,
        "monte_carlo_bits_per_document": drawn.value,
        "standard_error": drawn.standard_error,
        "monte_carlo_documents": float(drawn.n),
        "script_and_wording_bits": entropy.script_and_wording,
        "choices_bits": entropy.choices,
        "facts_bits": entropy.facts,
        "topic_ambiguity_bits": entropy.topic_ambiguity,
        "words_per_document": entropy.words,
        "sentences_per_document": entropy.sentences,
        "bytes_per_document": n_bytes.value,
        "bits_per_word": entropy.bits_per_word,
        "bits_per_byte": entropy.total / n_bytes.value,
    }
    estimates = {
        "next_word_accuracy": floors.next_word_accuracy(exact, some[: max(n_slow // 10, 2)]),
        "topic_accuracy": floors.fact_accuracy(exact, some, "topic"),
        "masked_bits_per_word": masked.bits,
        "masked_accuracy": masked.accuracy,
        "limited_bits_per_word": limited,
        "limited_excess_bits_per_word": excess,
        "next_sentence_accuracy": floors.next_sentence(
            exact, documents, n_pairs=n_pairs, seed=seed
        ),
        "sentence_order_accuracy": floors.sentence_order(
            exact, documents, n_pairs=n_pairs, seed=seed
        ),
    }
    for name, estimate in estimates.items():
        numbers[name], numbers[f"{name}_error"] = estimate.value, estimate.standard_error
    return numbers
