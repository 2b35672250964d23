"""From documents to what an objective reads: packed windows, sentences, or texts of any length."""

from minillm.data.prepared import (
    PreparedData,
    Progress,
    load_prepared,
    no_progress,
    prepare_data,
)
from minillm.data.sentences import SentenceDocuments, encode_with_sentences
from minillm.data.similar_lengths import SimilarLengths
from minillm.data.windows import EndlessShuffle, PackedWindows, ShuffledDocuments

__all__ = [
    "EndlessShuffle",
    "PackedWindows",
    "PreparedData",
    "Progress",
    "SentenceDocuments",
    "ShuffledDocuments",
    "SimilarLengths",
    "encode_with_sentences",
    "load_prepared",
    "no_progress",
    "prepare_data",
]
