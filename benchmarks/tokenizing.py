"""Our BPE against the tokenizers library: CPU time, one thread, interleaved, medians.

    python benchmarks/tokenizing.py [--megabytes 5] [--vocab-size 4096] [--rounds 5]

The text is the standard library's own source, files in a fixed shuffled order. (This file is not
called tokenizers.py: run as a script, it would then hide the library from every benchmark here.)
"""

import argparse
import os
import random
import statistics
import sysconfig
import time
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"  # read when the library first makes its threads

import tokenizers as library

from minillm.tokenizers import BPETokenizer, FastTokenizer
from minillm.tokenizers.pattern import WORD_PATTERN
from minillm.tokenizers.tokenizer_json import BYTE_SPELLINGS


def load_texts(n_bytes):
    """Read .py files of the running Python until n_bytes are reached."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = [path for path in root.rglob("*.py") if "site-packages" not in path.parts]
    random.Random(0).shuffle(paths := sorted(paths))
    texts = []
    for path in paths:
        if n_bytes <= 0:
            break
        text = path.read_text(encoding="utf-8", errors="replace")
        texts.append(text)
        n_bytes -= len(text.encode())
    return texts


def train_library(texts, vocab_size):
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
        vocab_size=vocab_size - 4, initial_alphabet=BYTE_SPELLINGS, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def cpu_seconds(function, *args):
    """Time one call."""
    start = time.process_time()
    function(*args)
    return time.process_time() - start


def interleave(jobs, rounds):
    """Return the seconds of each job, measured in turn so that a busy machine slows all alike."""
    seconds = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, (function, *args) in jobs.items():
            seconds[name].append(cpu_seconds(function, *args))
    return seconds


def report(title, seconds, baseline, n_bytes):
    """Print medians, throughput, and the median of the ratios within each round."""
    print(f"\n{title}")
    for name, times in seconds.items():
        ratios = [ours / theirs for ours, theirs in zip(times, seconds[baseline], strict=True)]
        print(
            f"  {name:<28} {statistics.median(times):7.2f} s"
            f" {n_bytes / statistics.median(times) / 1e6:7.1f} MB/s"
            f"   × {baseline} = {statistics.median(ratios):.2f}"
            f" ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def main():
    """Measure training, encoding and the words that ruin naive encoders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=5.0)
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    texts = load_texts(options.megabytes * 1e6)
    n_bytes = sum(len(text.encode()) for text in texts)
    print(f"{len(texts)} files, {n_bytes / 1e6:.2f} MB, vocabulary {options.vocab_size}")
    training = {
        "library": (train_library, texts, options.vocab_size),
        "ours": (BPETokenizer.train, texts, options.vocab_size),
    }
    report("Training", interleave(training, options.rounds), "library", n_bytes)

    ours = BPETokenizer.train(texts, options.vocab_size)
    fast = FastTokenizer(ours.merges)

    def cold(texts):
        BPETokenizer(ours.merges).encode_batch(texts)

    assert ours.encode_batch(texts) == fast.encode_batch(texts)
    encoding = {
        "fast (batch)": (fast.encode_batch, texts),
        "fast (one by one)": (lambda texts: [fast.encode(text) for text in texts], texts),
        "ours (cold cache)": (cold, texts),
        "ours (warm cache)": (ours.encode_batch, texts),
    }
    report("Encoding", interleave(encoding, options.rounds), "fast (batch)", n_bytes)

    draw = random.Random(0)
    words = {
        "'a' × 1,000,000": "a" * 1_000_000,
        "space × 1,000,000": " " * 1_000_000,
        "1,000,000 random letters": "".join(draw.choices("abcdefghijklmnop", k=1_000_000)),
    }
    for name, word in words.items():
        jobs = {"fast": (fast.encode, word), "ours": (ours.encode, word)}
        report(f"One word: {name}", interleave(jobs, 1), "fast", len(word))


if __name__ == "__main__":
    main()
