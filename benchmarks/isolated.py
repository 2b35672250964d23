"""Run one job in this process and print what it needed: ``measuring.isolated`` calls it.

python -m benchmarks.isolated benchmarks.fused_loss:make_job '{"kind": "plain", …}'
"""

import importlib
import json
import resource
import sys
import time
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """Return the most memory that this process has held so far.

    Linux hands ``ru_maxrss`` on from the process that started this one; VmHWM begins anew.
    """
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak() -> None:
    """Let the peak begin at what is held now, where the system can do that."""
    path = Path("/proc/self/clear_refs")
    if path.exists():
        path.write_text("5")


def main(maker: str, arguments: str) -> None:
    """Make the job, then measure one call of it."""
    torch.set_num_threads(1)
    module, function = maker.split(":")
    job = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    forget_peak()
    before, start = peak_bytes(), time.process_time()
    result = float(job())
    cpu_s = time.process_time() - start
    peak = max(peak_bytes() - before, resource.getpagesize())  # less than a page cannot be seen
    print(json.dumps({"cpu_s": cpu_s, "megabytes": peak / 1e6, "result": result}))


if __name__ == "__main__":
    main(*sys.argv[1:])
