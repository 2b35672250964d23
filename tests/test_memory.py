"""Memory does not grow with the corpus: cleaning, splitting and tokenizing stream."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's peak memory"),
]

PREPARE = """
import json, sys
from pathlib import Path
from minillm.data import prepare_data
from minillm.text.cleaning import DEFAULT_STEPS
from minillm.text.corpora import load_corpus
from minillm.text.spool import Spool

Spool.MEMORY_BYTES = 1 << 20
prepared = prepare_data(
    Path(sys.argv[2]), load_corpus([sys.argv[1]]), clean_steps=DEFAULT_STEPS, vocab_size=1000
)
# Not getrusage: its maximum counts what the process that started this one held.
status = Path("/proc/self/status").read_text().splitlines()
peak_kib = int(next(line.split()[1] for line in status if line.startswith("VmHWM")))
n_bytes = sum(split["n_bytes"] for split in prepared.manifest["splits"].values())
print(json.dumps([peak_kib / 1024, n_bytes]))
"""


def write(path, n_megabytes, *, line_words):
    """Write text whose words are as unequal as those of a language (Zipf's law)."""
    draw = random.Random(7)
    letters = "etaoinshrdlu"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(40_000)]
    cumulated, total = [], 0.0
    for rank in range(1, len(words) + 1):
        total += 1 / rank
        cumulated.append(total)
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < n_megabytes * 2**20:
            file.write(" ".join(draw.choices(words, cum_weights=cumulated, k=line_words)))
            file.write(" " if line_words > 1000 else "\n")
    return path


def peak_megabytes(path, folder):
    """Prepare a file in a process of its own; return its peak memory and the text that is left."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PREPARE, str(path), str(folder)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Measure the peak memory of 2 MB of text: Python, torch and what does not grow."""
    folder = tmp_path_factory.mktemp("small")
    return peak_megabytes(write(folder / "a.txt", 2, line_words=9), folder / "data")[0]


@pytest.mark.parametrize("line_words", [9, 5000])
def test_memory_hardly_grows_with_the_file_or_its_lines_row24(tmp_path, small, line_words):
    """12 MB kept in memory once are 12 MB; a file without a newline is one line."""
    path = write(tmp_path / "a.txt", 14, line_words=line_words)
    assert (b"\n" in path.read_bytes()) == (line_words == 9)
    large, n_bytes = peak_megabytes(path, tmp_path / "data")
    assert n_bytes > 13 * 2**20
    growth = (large - small) / 12  # MB of memory per MB of text
    assert growth < 0.85  # measured 0.57 and 0.23, new words included
