"""The table of faults keeps its word: each row has a test that exists, or says what it awaits."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
N_ROWS = 64
# All but sentence objectives (27) and graded notebooks (55 to 60), which are yet to come.
REQUIRED = {*range(1, 27), *range(28, 55), *range(61, 65)}
ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)


def problems(table, root):
    """Name each row that breaks a promise."""
    rows = ROW.findall(table)
    if [int(row[0]) for row in rows] != [*range(1, N_ROWS + 1)]:
        yield f"the rows are not 1 to {N_ROWS} in order"
    for number, _, behavior, tests in rows:
        named = re.findall(r"`([^`]+)`", tests)
        if not named and not re.match(r"\*\*planned\*\* \w+ \w+", tests):
            yield f"row {number} has neither a test nor a plan with its reason"
        if named and ("planned" in tests or not re.fullmatch(r"(`[^`]+` ?)+", tests)):
            yield f"row {number} mixes tests with words"
        for name in named:
            if problem := wrong_with(name, int(number), root):
                yield f"row {number}: {name} {problem}"
        assert behavior


def wrong_with(name, number, root):
    """Say what is wrong with the test that a row names, or None."""
    path, _, function = name.partition("::")
    if not (root / path).is_file() or not path.startswith("tests/"):
        return "is in no file"
    found = {
        node.name: node
        for node in ast.parse((root / path).read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    if function not in found or not function.startswith("test_"):
        return "does not exist"
    if any("skip" in ast.unparse(mark) or "xfail" in ast.unparse(mark)
           for mark in found[function].decorator_list):  # fmt: skip
        return "is skipped"
    rows = {int(row) for row in re.findall(r"_row(\d+)", function)}
    if rows and number not in rows:
        return "is a test of another row"
    return None


def planned(table):
    return {int(number) for number, _, _, tests in ROW.findall(table) if "planned" in tests}


def the_table():
    return (ROOT / "docs" / "reliability.md").read_text("utf-8")


def test_every_row_has_a_test_that_exists_or_a_plan():
    assert list(problems(the_table(), ROOT)) == []


def test_required_rows_are_kept():
    assert planned(the_table()) & REQUIRED == set()


def test_tests_are_marked_with_rows_that_exist():
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for number in re.findall(r"def test\w*_row(\d+)\(", path.read_text("utf-8")):
            assert 1 <= int(number) <= N_ROWS, path


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("| 2 | a |", "| 3 | a |", "the rows are not 1 to 64 in order"),
        ("`tests/t.py::test_a_row2`", "to do", "row 2 has neither a test nor a plan"),
        ("`tests/t.py::test_a_row2`", "**planned**", "row 2 has neither a test nor a plan"),
        ("test_a_row2`", "test_a_row2` and more", "row 2 mixes tests with words"),
        ("t.py::test_a_row2", "u.py::test_a_row2", "tests/u.py::test_a_row2 is in no file"),
        ("test_a_row2", "test_b_row2", "test_b_row2 does not exist"),
        ("test_a_row2", "helper", "helper does not exist"),
        ("test_a_row2", "test_skipped", "test_skipped is skipped"),
        ("test_a_row2", "test_c_row21", "test_c_row21 is a test of another row"),
    ],
)
def test_planted_faults_are_named(tmp_path, old, new, expected):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "t.py").write_text(
        "def test_a_row2(): ...\ndef test_c_row21(): ...\ndef helper(): ...\n"
        "@pytest.mark.skip\ndef test_skipped(): ...\n",
        "utf-8",
    )
    row = "| 2 | a | b | `tests/t.py::test_a_row2` |\n"
    others = [f"| {n} | a | b | **planned** with something |\n" for n in range(3, N_ROWS + 1)]
    table = "".join(["| 1 | a | b | **planned** with something |\n", row, *others])
    assert list(problems(table, tmp_path)) == []
    assert table.count(old) >= 1
    found = list(problems(table.replace(old, new, 1), tmp_path))
    assert expected in found[0]
