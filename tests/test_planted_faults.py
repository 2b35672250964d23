"""The table of planted faults fits the code, and its runner tells a catch from a miss."""

import ast
import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "planted_faults.py"


def load_script():
    spec = importlib.util.spec_from_file_location("planted_faults", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


planted_faults = load_script()
FAULTS = planted_faults.load_faults(planted_faults.TABLE)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_fits_the_code(fault, tmp_path):
    text = (ROOT / fault.file).read_text("utf-8")
    (tmp_path / fault.file).parent.mkdir(parents=True)
    (tmp_path / fault.file).write_text(text, "utf-8")
    fault.plant(tmp_path)
    planted = (tmp_path / fault.file).read_text("utf-8")
    assert ast.dump(ast.parse(planted)) != ast.dump(ast.parse(text))  # Python, and another program
    assert fault.tests
    for name in fault.tests:
        assert name.startswith("tests/")
        assert (ROOT / name).is_file()


def test_there_are_many_faults_and_each_has_its_name():
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names)) >= 50
    assert {"prepared.py", "loss.py", "training.py"} <= {Path(fault.file).name for fault in FAULTS}


REPOSITORY = {
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\nmarkers = ["slow"]\n',
    "minillm/__init__.py": "",
    "minillm/sums.py": "def add(a, b):\n    return a + b\n\ndef twice(a):\n    return 2 * a\n",
    "tests/test_sums.py": """
        from minillm.sums import add, twice
        def test_add(): assert add(2, 2) == 4
        def test_twice(): assert twice(2) == 4
    """,
}


def run(tmp_path, faults, **changed):
    for name, text in (REPOSITORY | changed).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text), "utf-8")
    entry = "[[fault]]\nname = {!r}\nfile = 'minillm/sums.py'\nold = {!r}\nnew = {!r}\n"
    table = "".join(entry.format(*fault) + "tests = ['tests/test_sums.py']\n" for fault in faults)
    (tmp_path / "faults.toml").write_text(table, "utf-8")
    # Without the heavy libraries, which these tests do not need.
    code = f"""
import runpy, sys
sys.argv = ["planted_faults", "--root", {str(tmp_path)!r}, "--table", "faults.toml"]
names = runpy.run_path({str(SCRIPT)!r}, run_name="planted_faults")
names["main"].__globals__["load_libraries"] = lambda: None
sys.exit(names["main"]())
"""
    before = (tmp_path / "minillm/sums.py").read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (tmp_path / "minillm/sums.py").read_bytes() == before  # only a copy is changed
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    return done.returncode, lines, done.stderr


@pytest.mark.slow
def test_noticed_and_surviving_faults_are_told_apart(tmp_path):
    faults = [
        ("minus", "a + b", "a - b"),
        ("times", "a + b", "a * b"),  # 2 + 2 = 2 · 2
        ("square", "2 * a", "a * a * a"),
    ]
    status, lines, errors = run(tmp_path, faults)
    assert (status, errors) == (1, "")
    assert [line.split(" ", 1)[0] for line in lines[:3]] == ["minus", "times", "square"]
    assert lines[0].endswith(" s tests/test_sums.py::test_add")
    assert lines[1].endswith(" s SURVIVED")
    assert lines[2].endswith(" s tests/test_sums.py::test_twice")
    assert lines[3] == "2 of 3 faults were noticed"


@pytest.mark.slow
def test_status_is_zero_where_all_are_noticed(tmp_path):
    status, lines, _ = run(tmp_path, [("minus", "a + b", "a - b")])
    assert (status, lines[-1]) == (0, "1 of 1 faults were noticed")


@pytest.mark.parametrize(("old", "n_times"), [("a % b", 0), ("return", 2)])
@pytest.mark.slow
def test_a_fault_that_does_not_fit_is_refused(tmp_path, old, n_times):
    status, lines, _ = run(tmp_path, [("odd", old, "x")])
    assert status == 2
    assert lines[-1] == f"odd: {old!r} stands {n_times} times in minillm/sums.py"


@pytest.mark.slow
def test_tests_that_fail_anyway_are_no_proof(tmp_path):
    broken = {"tests/test_sums.py": "def test_always(): assert False\n"}
    status, lines, _ = run(tmp_path, [("minus", "a + b", "a - b")], **broken)
    assert status == 2
    assert lines == ["without a fault, this fails: tests/test_sums.py::test_always"]


@pytest.mark.slow
def test_code_that_cannot_be_imported_is_no_catch(tmp_path):
    status, lines, _ = run(tmp_path, [("typo", "def add", "def ad")])
    assert status == 2
    assert "s NOT RUN:" in lines[0]
    assert lines[-1] == "0 of 1 faults were noticed"
