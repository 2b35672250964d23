"""Importing minillm prints, seeds, downloads and configures nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What an import could change behind the reader's back, as text that can be compared.
STATE = """
import json, logging, os, random, signal, sys, warnings
import matplotlib, numpy, torch

def state():
    return {
        "python": str(random.getstate()),
        "numpy": str([part.tolist() if hasattr(part, "tolist") else part
                      for part in numpy.random.get_state()]),
        "torch": torch.get_rng_state().tolist(),
        "threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "dtype": [str(torch.get_default_dtype()), str(torch.get_default_device())],
        "matmul": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "grad": torch.is_grad_enabled(),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "handlers": str([signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]),
        "logging": [str(logging.root.handlers), logging.root.level],
        "warnings": str(warnings.filters),
        "figures": {key: str(value) for key, value in matplotlib.rcParams.items()
                    if key != "backend"},
    }
"""

IMPORT_ALL = """
import importlib, pkgutil, socket
import matplotlib.pyplot, tokenizers, tqdm.auto  # noqa  what libraries do on import is theirs

class NoNetwork(socket.socket):
    def connect(self, *_):
        raise AssertionError("an import opened a connection")

socket.socket = NoNetwork
before = state()
import minillm
imported = ["minillm"]
for module in pkgutil.walk_packages(minillm.__path__, "minillm."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        imported.append(module.name)
after = state()
changed = [name for name in before if before[name] != after[name]]
"""


def python(code, *, cwd=ROOT):
    """Run ``code`` in a fresh interpreter; return what it wrote."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("COV_CORE_SOURCE", None)
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )


def test_importing_every_module_changes_and_prints_nothing(tmp_path):
    report = "open('report.json', 'w').write(json.dumps([imported, changed]))"
    done = python(STATE + IMPORT_ALL + report, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    imported, changed = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert changed == []
    assert {"minillm", "minillm.batch", "minillm.config"} <= set(imported)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


# A change that an import might make → the one entry of the state that must notice it.
PLANTED = {
    "torch.manual_seed(0)": "torch",
    "random.seed(0)": "python",
    "numpy.random.seed(0)": "numpy",
    "torch.set_num_threads(torch.get_num_threads() + 1)": "threads",
    "torch.set_default_dtype(torch.float64)": "dtype",
    "os.environ['MINILLM_PLANTED'] = '1'": "environment",
    "matplotlib.rcParams['lines.linewidth'] = 7": "figures",
    "warnings.simplefilter('ignore')": "warnings",
}


def test_the_state_notices_each_planted_change():
    code = f"""
for planted in {list(PLANTED)!r}:
    before = state()
    exec(planted)
    after = state()
    print(*[name for name in before if before[name] != after[name]])
"""
    done = python(STATE + code)
    assert done.stdout.splitlines() == list(PLANTED.values()), done.stderr


@pytest.mark.parametrize(
    "module", ["minillm", "minillm.errors", "minillm.config", "minillm.runtime", "minillm.cli"]
)
def test_light_modules_leave_torch_alone(module):
    show = (
        "print([name for name in ('torch', 'transformers', 'matplotlib') if name in sys.modules])"
    )
    done = python(f"import sys, {module}\n{show}")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_version_answers_without_torch():
    code = """
import runpy, sys
sys.argv = ["minillm", "--version"]
try:
    runpy.run_module("minillm", run_name="__main__", alter_sys=True)
except SystemExit as stop:
    assert not stop.code, stop.code
assert "torch" not in sys.modules, "minillm --version imported torch"
"""
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert __import__("minillm").__version__ in done.stdout
