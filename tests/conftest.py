"""How Triton runs its kernels, and a standard library in small."""

import os
import random

import pytest

# Triton decides at its import whether a kernel is compiled or interpreted: settle that first.
# Without a GPU the kernels can only be interpreted; TRITON_INTERPRET=0 tests them on one.
os.environ.setdefault("TRITON_INTERPRET", "1")

PACKAGES = ("alpha", "bravo", "_pycharlie", "deltalib")
MENTIONS = ("alpha.", "ALPHABET", "bravo.part3.Thing", "Charlies", "Deltas", "part5", "part77")


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
