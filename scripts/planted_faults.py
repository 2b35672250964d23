"""Plant one fault after the other in a copy of the package and see which test notices it.

    python scripts/planted_faults.py                 each fault against the tests it names
    python scripts/planted_faults.py --all           against every test that is not slow
    python scripts/planted_faults.py rotary clip     only faults with such words in their name

A test that has never failed may be unable to. The faults stand in planted_faults.toml: where, what
stands there, what is put in its place. Exit status 1 if a fault survives, 2 if the table is wrong.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_name("planted_faults.toml")
COPIED = ("minillm", "exercises", "tests", "pyproject.toml")
NEVER_COPIED = (".git", ".venv", "runs")  # of the whole repository, which --all needs
TIME_LIMIT_S = 300  # a fault may make a loop endless
SURVIVED, NOT_RUN = "SURVIVED", "NOT RUN"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One small change that a test must notice."""

    name: str
    file: str  # relative to the root, such as minillm/loss.py
    old: str  # stands exactly once in the file
    new: str
    tests: list[str]  # files of tests, at least one of which must fail

    def plant(self, root: Path) -> None:
        """Change the file under ``root``.

        Raises:
            ValueError: if ``old`` does not stand there exactly once.
        """
        path = root / self.file
        text = path.read_text("utf-8")
        if (n_found := text.count(self.old)) != 1:
            raise ValueError(f"{self.name}: {self.old!r} stands {n_found} times in {self.file}")
        path.write_text(text.replace(self.old, self.new), "utf-8")


def load_faults(table: Path, words: Sequence[str] = ()) -> list[Fault]:
    """Read the table; with words, only the faults whose names hold one of them."""
    faults = [Fault(**entry) for entry in tomllib.loads(table.read_text("utf-8"))["fault"]]
    return [f for f in faults if not words or any(word in f.name for word in words)]


def run_tests(root: Path, tests: Sequence[str]) -> str:
    """Return the first test that fails, ``SURVIVED``, or ``NOT_RUN`` with the reason."""
    output = root / "output.txt"
    process = multiprocessing.get_context("fork").Process(
        target=_pytest, args=(root, tests, output)
    )
    process.start()
    process.join(TIME_LIMIT_S)
    if process.is_alive():
        process.kill()
        process.join()
        return f"no end within {TIME_LIMIT_S} s"
    text = output.read_text("utf-8", "replace")
    failed = re.search(r"^FAILED (\S+?)(\[.*?\])?( - .*)?$", text, re.MULTILINE)
    if process.exitcode == 0:
        return SURVIVED
    if process.exitcode == 1 and failed:
        return failed[1]
    return f"{NOT_RUN}: {text.strip()[-500:]}"


def _pytest(root: Path, tests: Sequence[str], output: Path) -> None:
    """Run in a child: the heavy libraries are loaded already, the package is not."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.chdir(root)
    # Compiled files are matched by time and size: a planted fault may have those of the original.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    options = ["-x", "-q", "-rf", "--tb=no", "-m", "not slow", "-p", "no:cacheprovider"]
    code = pytest.main([*options, "--hypothesis-seed=0", *tests])
    sys.stdout.flush()
    os._exit(int(code))


def load_libraries() -> None:
    """Import once, before the forks, what every run of the tests would import."""
    os.environ.setdefault("TRITON_INTERPRET", "1")  # as tests/conftest.py: before torch._dynamo
    for name in ("torch._dynamo", "tokenizers", "ftfy", "einops", "matplotlib.pyplot"):
        importlib.import_module(name)


def try_faults(
    faults: Sequence[Fault], root: Path, *, tests: Sequence[str] | None = None, whole: bool = False
) -> Iterator[tuple[Fault, str, float]]:
    """Yield each fault with what noticed it and the seconds that took.

    Args:
        faults: planted one at a time.
        root: the repository; only a temporary copy of it is changed.
        tests: the same tests for all; ``None`` takes those that each fault names.
        whole: copy the whole repository, as some tests read its documents.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for source in root.iterdir():
            wanted = source.name not in NEVER_COPIED if whole else source.name in COPIED
            if wanted and source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis")
                shutil.copytree(source, copy / source.name, ignore=ignored)
            elif wanted:
                shutil.copy(source, copy / source.name)
        for fault in faults:
            path = copy / fault.file
            original, start = path.read_text("utf-8"), time.perf_counter()
            fault.plant(copy)
            try:
                yield fault, run_tests(copy, tests or fault.tests), time.perf_counter() - start
            finally:
                path.write_text(original, "utf-8")


def check_baseline(root: Path, tests: Sequence[str], *, whole: bool) -> str | None:
    """Return what fails without any fault, which would seem to catch them all."""
    nothing = Fault(
        name="none", file="pyproject.toml", old="[tool.pytest", new="[tool.pytest", tests=[]
    )
    ((_, result, _),) = try_faults([nothing], root, tests=tests, whole=whole)
    return None if result == SURVIVED else result


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line a fault; return the exit status."""
    parser = argparse.ArgumentParser(description="See which test notices each planted fault.")
    parser.add_argument("words", nargs="*", help="only faults whose name holds one of these")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    parser.add_argument("--table", type=Path, default=TABLE, help="the file of faults")
    parser.add_argument("--all", action="store_true", help="run all tests that are not slow")
    options = parser.parse_args(arguments)
    root, faults = options.root, load_faults(options.table, options.words)
    load_libraries()
    tests = ["tests"] if options.all else None
    named = sorted({name for fault in faults for name in fault.tests})
    if failing := check_baseline(root, tests or named, whole=options.all):
        print(f"without a fault, this fails: {failing}")
        return 2
    results = []
    try:
        for fault, result, seconds in try_faults(faults, root, tests=tests, whole=options.all):
            print(f"{fault.name:52} {seconds:5.1f} s  {result}", flush=True)
            results.append(result)
    except ValueError as error:
        print(error)
        return 2
    n_survived = results.count(SURVIVED)
    n_not_run = sum(result.startswith(NOT_RUN) for result in results)
    print(f"{len(results) - n_survived - n_not_run} of {len(results)} faults were noticed")
    return 2 if n_not_run else int(n_survived > 0)


if __name__ == "__main__":
    sys.exit(main())
