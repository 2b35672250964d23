"""What the check of the split calls another process is what another process does."""

import os
import subprocess
import sys

from exercises.checks_01_split import another_process, check_split

SPLIT = """
import hashlib
texts = [f"text {i}" for i in range(60)]
print([t for t in texts if hash(t) % 4 == 0])
print([t for t in texts if hashlib.sha256(t.encode()).digest()[0] % 4 == 0])
"""


def held_out(seed):
    """Split in a process of its own; by hash() and by SHA-256."""
    environment = os.environ | {"PYTHONHASHSEED": str(seed)}
    command = [sys.executable, "-S", "-c", SPLIT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_two_processes_disagree_about_hash_and_agree_about_sha256():
    one, two = held_out(1), held_out(2)
    assert one[0] != two[0]
    assert one[1] == two[1]


def test_hash_is_another_one_inside_and_the_old_one_after():
    texts = [f"text {i}" for i in range(60)]
    here = [hash(text) for text in texts]
    with another_process(salt=1):
        elsewhere = [hash(text) for text in texts]
        assert elsewhere == [hash(text) for text in texts]  # the same within one process
    assert not set(here) & set(elsewhere)
    assert here == [hash(text) for text in texts]


def test_an_error_in_the_attempt_gives_hash_back():
    def split(documents, fraction):
        if hash("a") != before:
            raise RuntimeError
        held = [hash(text) % 5 == 0 for text in documents]
        pairs = list(zip(documents, held, strict=True))
        return [t for t, h in pairs if not h], [t for t, h in pairs if h]

    before = hash("a")
    assert "RuntimeError" in repr(check_split(split))
    assert hash("a") == before
