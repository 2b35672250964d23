"""Triton decides at its import whether a kernel is compiled or interpreted: settle that first."""

import os

# Without a GPU the kernels can only be interpreted; TRITON_INTERPRET=0 tests them on one.
os.environ.setdefault("TRITON_INTERPRET", "1")
