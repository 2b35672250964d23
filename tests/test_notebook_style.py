"""The house limits of notebooks hold, and each broken limit is named."""

import base64
import copy
import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def load_script():
    path = ROOT / "scripts" / "check_notebooks.py"
    spec = importlib.util.spec_from_file_location("check_notebooks", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


checker = load_script()


def prose(text):
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def code(text, count):
    output = {"output_type": "stream", "name": "stdout", "text": "1\n"}
    return {
        "cell_type": "code",
        "metadata": {},
        "source": text.splitlines(keepends=True),
        "outputs": [output],
        "execution_count": count,
    }


def good_notebook():
    """A notebook of 24 cells that keeps every rule."""
    cells = [prose("# 08 · Attention\n\nOne sentence."), prose("## Goals\n\nYou can …")]
    for count in range(1, 9):
        cells += [prose("**Predict** … **Look** …"), code(f"n = {count}\nassert n > 0", count)]
    cells += [prose("**Break it**"), prose("## Exercises")]
    hint = "<details><summary>Hint</summary>…</details>"
    cells += [prose(f"### 1 · Mean ★ (5 minutes)\n{hint}"), code("check_mean(my_mean)", 9)]
    cells += [prose(f"### 2 · Max ★★ (9 minutes)\n{hint}"), code("check_max(my_max)", 10)]
    cells += [prose("## Summary\n…\n\n## References\n…")]
    kernel = {"kernelspec": {"name": "python3"}}
    return {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}


def violations(folder, notebook, name="08_attention.ipynb"):
    path = folder / name
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return checker.violations(path)


def set_cell(index, text):
    return lambda nb: nb["cells"][index].update(source=text)


def drop_prose(nb):
    nb["cells"] = [c for i, c in enumerate(nb["cells"]) if c["cell_type"] == "code" or i % 4]
    nb["cells"] += [copy.deepcopy(nb["cells"][-1]) for _ in range(30)]


def insert(index, *cells):
    def change(nb):
        nb["cells"][index:index] = cells

    return change


def png_of(n_bytes):
    png = base64.b64encode(bytes(n_bytes)).decode()
    output = {"output_type": "display_data", "data": {"image/png": png}, "metadata": {}}
    return lambda nb: nb["cells"][3].update(outputs=[output])


def set_error(nb):
    error = {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}
    nb["cells"][3]["outputs"] = [error]


def clear_outputs(nb):
    for cell in nb["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = []


def no_verdicts(nb):
    for cell in nb["cells"]:
        cell["source"] = "".join(cell["source"]).replace("assert n > 0", "n")


LONG_CLASS = "class A:\n" + "    x = 1\n" * 20
PLANTED = {
    "title form": (set_cell(0, "# Attention"), "expected a title like"),
    "title is code": (lambda nb: nb["cells"].pop(0), "expected a title like"),
    "title number": (set_cell(0, "# 09 · Attention"), "the title's number is 09"),
    "no goals": (set_cell(1, "# Goals"), "section '## Goals' is missing"),
    "order": (lambda nb: nb["cells"].insert(2, nb["cells"].pop(-1)), "sections come as"),
    "twice": (insert(2, prose("## Goals")), "sections come as"),
    "no prediction": (set_cell(18, "Break  it"), "no 'Break it' in the prose"),
    "too short": (lambda nb: nb["cells"].__delitem__(slice(2, 12)), "cells, expected 20 to 60"),
    "too long": (insert(2, *[prose("…")] * 40), "65 cells, expected 20 to 60"),
    "little prose": (drop_prose, "cells are prose, at least 40%"),
    "code run": (insert(3, *[code("1", 1)] * 3), "4 code cells in a row"),
    "long cell": (set_cell(5, "n = 1\n" * 21), "cell 5 has 21 lines, at most 20"),
    "long setup": (set_cell(3, "import os\n" * 11), "the setup cell has 11 lines"),
    "long class": (set_cell(5, LONG_CLASS), "class A has 21 lines, at most 20"),
    "syntax": (set_cell(5, "if:"), "cell 5 does not parse"),
    "shell install": (set_cell(5, "!pip install x"), "runs '!pip'"),
    "magic install": (set_cell(5, "n = 1\n  %pip install x"), "runs '%pip'"),
    "kernel": (lambda nb: nb["metadata"]["kernelspec"].update(name="py"), "kernel is 'py'"),
    "no outputs": (clear_outputs, "no output is stored"),
    "out of order": (lambda nb: nb["cells"][3].update(execution_count=7), "not of one run"),
    "error": (set_error, "cell 3 stores an error"),
    "large": (lambda nb: nb["metadata"].update(x="x" * 500_000), "bytes, at most 500000"),
    "large png": (png_of(100_001), "a PNG of cell 3 has 100001 bytes"),
    "no verdicts": (no_verdicts, "2 cells check something"),
    "one exercise": (set_cell(22, "Text"), "1 exercises, at least 2"),
    "no stars": (set_cell(20, "### Mean (5 minutes) <details>"), "'Mean (5 minutes) <details>' "),
    "no minutes": (set_cell(20, "### Mean ★\n<details>"), "exercise 'Mean ★' has no minutes"),
    "no hint": (set_cell(20, "### Mean ★\n5 minutes"), "exercise 'Mean ★' has no folded hint"),
    "no check": (set_cell(21, "my_mean"), "has no check_ call"),
}


def test_a_good_notebook_passes(tmp_path):
    assert violations(tmp_path, good_notebook()) == []


@pytest.mark.parametrize("fault", PLANTED)
def test_each_broken_rule_is_named(tmp_path, fault):
    change, message = PLANTED[fault]
    notebook = copy.deepcopy(good_notebook())
    change(notebook)
    found = violations(tmp_path, notebook)
    assert any(message in line for line in found), found
    assert all(line.startswith("08_attention.ipynb: ") for line in found)


def test_median_of_code_lines_is_bounded(tmp_path):
    notebook = good_notebook()
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["source"] = "assert 1\n\n" * 7 + "check_mean(f)"
    found = violations(tmp_path, notebook)
    assert found == ["08_attention.ipynb: the median code cell has 8 lines, at most 6"]


def test_an_expected_error_may_be_stored(tmp_path):
    notebook = good_notebook()
    set_error(notebook)
    notebook["cells"][3]["metadata"]["tags"] = ["raises-exception"]
    assert violations(tmp_path, notebook) == []


def test_main_returns_the_verdict(tmp_path, capsys):
    notebook = good_notebook()
    assert violations(tmp_path, notebook) == []
    path = str(tmp_path / "08_attention.ipynb")
    assert checker.main([path]) == 0
    assert checker.main([]) == 0
    clear_outputs(notebook)
    violations(tmp_path, notebook)
    assert checker.main([path]) == 1
    assert capsys.readouterr().out == "08_attention.ipynb: no output is stored\n"


def test_notebooks_keep_the_house_limits():
    assert [line for path in NOTEBOOKS for line in checker.violations(path)] == []


def test_each_notebook_links_the_one_before_and_the_one_after_by_its_title():
    firsts = [checker.read_notebook(path).cells[0].source for path in NOTEBOOKS]
    links = [
        f"[{first.partition(chr(10))[0].removeprefix('# ')}]({path.name})"
        for first, path in zip(firsts, NOTEBOOKS, strict=True)
    ]
    for first, link, other, other_link in zip(firsts, links, firsts[1:], links[1:], strict=False):
        assert f"next: {other_link}" in first
        assert f"previous: {link}" in other


def test_links_of_notebooks_lead_to_files():
    links = {
        (path.name, target.partition("#")[0])
        for path in NOTEBOOKS
        for target in re.findall(r"\]\(([^)\s]+)\)", checker.read_notebook(path).prose)
        if not target.startswith(("http", "#"))
    }
    assert len(links) > 3 * len(NOTEBOOKS)
    assert not [link for link in links if not (ROOT / "notebooks" / link[1]).exists()]
