"""Where a sentence ends, in English and in Chinese, by the library ``sentencex``.

It was chosen by the gold set of ``tests/text/test_sentences.py``: pysbd cuts Chinese speech before
its closing quote, syntok ends sentences at "Jan." and runs over "U.K.". Pieces keep their spaces,
so that they are the text again when they are joined.
"""

from __future__ import annotations

from typing import Literal

from minillm.errors import ConfigError

SentenceLanguage = Literal["en", "zh"]
LANGUAGES = ("en", "zh")
_CLOSING = "”’」』"


def split_sentences(text: str, *, language: SentenceLanguage = "en") -> list[str]:
    """Cut a text into sentences.

    Blank lines always end one. White space belongs to the sentence before it.

    Args:
        text: any string.
        language: whose abbreviations and quotes to expect; Chinese also reads English in it.

    Returns:
        Pieces that hold more than white space; joined, they are the text.

    Raises:
        ConfigError: an unknown language, or the package ``sentencex`` is not installed.

    Example:
        >>> split_sentences("Dr. Smith paid $3.50. Why? Nobody knows.")
        ['Dr. Smith paid $3.50. ', 'Why? ', 'Nobody knows.']
    """
    if language not in LANGUAGES:
        raise ConfigError(f"language must be one of {', '.join(LANGUAGES)}, got {language!r}")
    try:
        import sentencex
    except ImportError as error:
        raise ConfigError(
            "sentences are cut by the package sentencex: pip install 'minillm[text]'"
        ) from error
    pieces: list[str] = []
    for piece in sentencex.segment(language, text):  # pyright: ignore[reportAttributeAccessIssue]
        # A mark of speech alone, or white space alone, belongs to the sentence before.
        if pieces and not piece.strip().strip(_CLOSING):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    if len(pieces) > 1 and not pieces[0].strip():
        pieces[:2] = [pieces[0] + pieces[1]]
    return pieces
