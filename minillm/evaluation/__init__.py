"""How well a model predicts what it has not seen, and what it must beat.

``code_length``: models of whole texts, in bits per byte; ``baselines``: what they must beat.
``hidden_words``, ``spans`` and ``sentences``: the objectives whose losses are no code lengths.
"""

from minillm.evaluation.baselines import (
    copied_shares,
    uniform_bits_per_byte,
    unigram_bits_per_byte,
    xz_bits_per_byte,
)
from minillm.evaluation.code_length import (
    Evaluation,
    evaluate_documents,
    input_influence,
)
from minillm.evaluation.hidden_words import HiddenWordScores, choose_words, evaluate_hidden_words
from minillm.evaluation.scores import Scores
from minillm.evaluation.sentences import (
    OrderScores,
    PairScores,
    SentencePair,
    draw_pairs,
    evaluate_orders,
    evaluate_pairs,
)
from minillm.evaluation.spans import SpanScores, evaluate_spans

__all__ = [
    "Evaluation",
    "HiddenWordScores",
    "OrderScores",
    "PairScores",
    "Scores",
    "SentencePair",
    "SpanScores",
    "choose_words",
    "copied_shares",
    "draw_pairs",
    "evaluate_documents",
    "evaluate_hidden_words",
    "evaluate_orders",
    "evaluate_pairs",
    "evaluate_spans",
    "input_influence",
    "uniform_bits_per_byte",
    "unigram_bits_per_byte",
    "xz_bits_per_byte",
]
