"""Our byte-pair encoding against the tokenizers library, one thread, on the same words.

The text is the standard library's own source, files in a fixed shuffled order. (This file is not
called tokenizers.py: run as a script, it would then hide the library from every benchmark here.)
"""

import random
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import tokenizers as library

from benchmarks.measuring import OURS, Row, compare, interleave
from minillm.tokenizers import BPETokenizer, FastTokenizer
from minillm.tokenizers.pattern import WORD_PATTERN
from minillm.tokenizers.tokenizer_json import BYTE_SPELLINGS

THEME = "tokenizer"
LIBRARY, COLD, WARM = "tokenizers", "minillm, cold cache", "minillm, warm cache"
N_SPECIAL = 4  # ids of ours that are neither bytes nor merges


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How large, how often, and what we want."""

    n_bytes: int = 5_000_000
    vocab_size: int = 4096
    n_letters: int = 1_000_000  # of one endless word
    n_rounds: int = 5
    aims: dict[str, float] = field(default_factory=dict)


FULL = Settings(aims={"train": 1 / 1.5})  # at most 1.5 times the library's time
QUICK = Settings(n_bytes=500_000, vocab_size=1024, n_letters=100_000, n_rounds=3)


def rows(settings: Settings) -> Iterator[Row]:
    """Compare training, encoding, and the words that ruin naive encoders."""
    texts = load_texts(settings.n_bytes)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    jobs: dict[str, Callable[[], object]] = {
        OURS: lambda: BPETokenizer.train(texts, settings.vocab_size),
        LIBRARY: lambda: train_library(texts, settings.vocab_size),
    }
    seconds = interleave(jobs, n_rounds=settings.n_rounds)
    case = f"train, {megabytes:.1f} MB, V {settings.vocab_size}"
    yield compare(seconds, theme=THEME, case=case, peer=LIBRARY, aim=settings.aims.get("train"))

    ours = BPETokenizer.train(texts, settings.vocab_size)
    fast = FastTokenizer(ours.merges)
    if ours.encode_batch(texts) != fast.encode_batch(texts):
        raise AssertionError("the library and we encode differently")
    jobs = {
        COLD: lambda: BPETokenizer(ours.merges).encode_batch(texts),
        WARM: lambda: ours.encode_batch(texts),
        LIBRARY: lambda: fast.encode_batch(texts),
    }
    seconds = interleave(jobs, n_rounds=settings.n_rounds)
    for name in (COLD, WARM):
        row = partial(compare, seconds, theme=THEME, ours=name, peer=LIBRARY)
        speed = megabytes / row(case="").ours, megabytes / row(case="").theirs
        case = f"encode, {name.partition(', ')[2]}"
        yield row(case=case, note=f"{speed[0]:.1f} and {speed[1]:.1f} MB/s")
    yield from _endless_words(settings, ours, fast)


def _endless_words(settings: Settings, ours: BPETokenizer, fast: FastTokenizer) -> Iterator[Row]:
    """Compare words without a break, where a quadratic encoder would never end."""
    letters = random.Random(0).choices("abcdefghijklmnop", k=settings.n_letters)
    words = {"one letter": "a" * settings.n_letters, "random letters": "".join(letters)}
    for name, word in words.items():
        jobs = {OURS: partial(ours.encode, word), LIBRARY: partial(fast.encode, word)}
        seconds = interleave(jobs, n_rounds=1)
        case = f"encode a word, {name} × {settings.n_letters}"
        yield compare(seconds, theme=THEME, case=case, peer=LIBRARY)


def load_texts(n_bytes: int) -> list[str]:
    """Read .py files of the running Python until n_bytes are reached."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in root.rglob("*.py") if "site-packages" not in path.parts)
    random.Random(0).shuffle(paths)
    texts = []
    for path in paths:
        if n_bytes <= 0:
            break
        text = path.read_text(encoding="utf-8", errors="replace")
        texts.append(text)
        n_bytes -= len(text.encode())
    return texts


def train_library(texts: list[str], vocab_size: int) -> library.Tokenizer:
    """Train the library's BPE on the same words as ours."""
    tokenizer = library.Tokenizer(library.models.BPE())
    steps = library.pre_tokenizers
    tokenizer.pre_tokenizer = steps.Sequence(
        [
            steps.Split(library.Regex(WORD_PATTERN), "isolated"),
            steps.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocab_size - N_SPECIAL, initial_alphabet=BYTE_SPELLINGS, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
