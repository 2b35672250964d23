"""How Triton runs its kernels, runs that get a signal, and a standard library in small."""

import os
import random
import signal
from contextlib import contextmanager

import pytest

# Triton decides at its import whether a kernel is compiled or interpreted: settle that first.
# Without a GPU the kernels can only be interpreted; TRITON_INTERPRET=0 tests them on one.
os.environ.setdefault("TRITON_INTERPRET", "1")

PACKAGES = ("alpha", "bravo", "_pycharlie", "deltalib")
MENTIONS = ("alpha.", "ALPHABET", "bravo.part3.Thing", "Charlies", "Deltas", "part5", "part77")


@pytest.fixture
def signals_after(monkeypatch):
    """Within it a run gets signals as soon as a step is logged: ``with signals_after(7, SIGINT)``.

    With ``having``, only a line with that key counts.
    """
    from minillm.run import RunFolder

    @contextmanager
    def patched(step, *numbers, having="step"):
        log = RunFolder.log

        def log_and_signal(folder, line):
            log(folder, line)
            if line["step"] == step and having in line:
                for number in numbers:
                    signal.raise_signal(number)

        with monkeypatch.context() as patch:
            patch.setattr(RunFolder, "log", log_and_signal)
            yield

    return patched


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """A standard library of four packages, 41 modules each, with a code word a docstring."""
    root, draw = tmp_path_factory.mktemp("library"), random.Random(3)
    words = [
        f"{a}{b}" for a in ["ba", "do", "ki", "lu", "me"] for b in ["na", "po", "ra", "ti", "ve"]
    ]
    (root / "tiny").mkdir()
    (root / "tiny" / "__init__.py").write_text('"""A package of a single docstring."""\n')
    for number, name in enumerate(PACKAGES):
        (root / name).mkdir()
        for module in range(41):
            lines = [
                f"def function_{place}():\n"
                f'    """{" ".join(draw.choices(words, k=9))} {draw.choice(MENTIONS)} '
                f'code{number}{module:02}{place}."""\n'
                for place in range(5)
            ]
            (root / name / f"part{module}.py").write_text("\n".join(lines))
    return root
