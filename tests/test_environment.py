"""environment.yml, pyproject.toml, the Makefile and the READMEs tell one story."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COURSE = [
    "00_setup",
    "01_text",
    "02_ngrams",
    "03_tokenizers",
    "04_neural_language_model",
    "05_optimizers",
    "06_lstm",
    "07_bidirectional",
    "08_attention",
    "09_transformer_block",
    "10_causal_language_model",
    "11_masked_language_model",
    "12_sentence_objectives",
    "13_span_corruption",
    "14_fine_tuning",
    "15_dialogue_and_few_labels",
    "16_images",
    "17_faster_and_bigger",
]
AVAILABLE = {
    "README.md": "available",
    "README.zh-CN.md": "可用",
    "notebooks/README.md": "available",
}
PLANNED = {"README.md": "planned", "README.zh-CN.md": "计划中", "notebooks/README.md": "planned"}
TORCH = "torch>=2.9,<2.14"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project():
    return tomllib.loads(read("pyproject.toml"))["project"]


@pytest.fixture(scope="module")
def environment():
    return yaml.safe_load(read("environment.yml"))


def conda_and_pip(environment):
    conda = [line for line in environment["dependencies"] if isinstance(line, str)]
    (pip,) = (line["pip"] for line in environment["dependencies"] if isinstance(line, dict))
    return conda, pip


def course_rows(text):
    """Yield (number, name, link or None, the other columns) of each row of a course map."""
    row = r"^\| (\d\d) \| (?:\[(\w+)\]\(([^)]+)\)|(\w+)) \| (.+) \|$"
    for number, linked, link, plain, rest in re.findall(row, text, re.MULTILINE):
        yield number, linked or plain, link or None, rest.split(" | ")


def test_the_conda_environment_is_thin_and_bound_like_the_project(project, environment):
    conda, pip = conda_and_pip(environment)
    assert conda == [f"python{project['requires-python']}", "pip"]
    assert environment["channels"] == ["conda-forge"]
    (line,) = pip
    extras = re.fullmatch(r"-e \.\[([\w,]+)\]", line)
    assert extras is not None, line
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])


def test_torch_is_bounded_the_same_everywhere(project):
    assert [d for d in project["dependencies"] if d.startswith("torch")] == [TORCH]
    for name in ("environment.yml", "README.md", "README.zh-CN.md"):
        text = read(name)
        assert CPU_INDEX in text, name
        bounds = re.findall(r"torch *[<>=~!][^\"`\s]*", text)
        assert set(bounds) <= {TORCH}, name
        assert bounds or name == "environment.yml"


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_commands_of_the_readme_are_targets_of_the_makefile(name):
    rules = re.findall(r"^([a-z][a-z -]*):(?!=)", read("Makefile"), re.MULTILINE)
    commands = set(re.findall(r"(?:^|`)make ([a-z]+)\b", read(name), re.MULTILINE))
    assert {"tour", "test", "lab"} <= commands <= {target for r in rules for target in r.split()}
    assert "PIP_ARGS" in read("Makefile")


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readme_is_one_screen_and_a_half(name):
    assert len(read(name).splitlines()) <= 88


def test_both_readmes_give_the_same_commands():
    blocks = [re.findall(r"```bash\n(.*?)```", read(n), re.DOTALL) for n in AVAILABLE]
    english, chinese = (re.sub(r" +#.*", "", "".join(b)).splitlines() for b in blocks[:2])
    assert english == chinese


@pytest.mark.parametrize("name", AVAILABLE)
def test_the_course_map_lists_the_eighteen_notebooks(name):
    rows = list(course_rows(read(name)))
    assert [notebook for _, notebook, _, _ in rows] == COURSE
    assert all(notebook.startswith(f"{number}_") for number, notebook, _, _ in rows)


@pytest.mark.parametrize("name", AVAILABLE)
def test_the_course_map_marks_exactly_the_notebooks_that_exist(name):
    for _, notebook, link, columns in course_rows(read(name)):
        exists = (ROOT / "notebooks" / f"{notebook}.ipynb").exists()
        status = AVAILABLE[name] if exists else PLANNED[name]
        assert columns[-1] == status, f"{name}: {notebook} is marked {columns[-1]!r}"
        assert (link is not None) == exists, notebook
        assert ((ROOT / name).parent / (link or "")).exists(), notebook
    known = {f"{notebook}.ipynb" for notebook in COURSE}
    assert {path.name for path in (ROOT / "notebooks").glob("*.ipynb")} <= known


def test_the_citation_names_this_version_and_license(project):
    citation = yaml.safe_load(read("CITATION.cff"))
    version = re.search(r'__version__ = "(.+)"', read("minillm/__init__.py"))
    assert version is not None
    assert citation["version"] == version[1]
    assert citation["license"] == project["license"] == "Apache-2.0"
    assert read("LICENSE").split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "SPDX-License-Identifier: CC-BY-4.0" in read("LICENSE-TEXT")
