"""The documents are complete, point at what exists and name what the code names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "notebooks/README.md"]
)
CODE = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "minillm").rglob("*.py")))
# Names of the glossary whose code comes with a notebook that is planned.
PLANNED_NAMES = {
    "bidirectional", "masked", "maskable", "next-sentence", "sentence-order", "span-corruption",
    "sentence-reconstruction", "prefix", "floor_bits_per_byte", "plot_", "check_",
}  # fmt: skip
READINGS = (
    """
Attention Is All You Need|BERT: Pre-training|GPT-2|Language Models are Few-Shot Learners|T5
The Illustrated Transformer|CS224N|机器之心|google-research/bert|text-to-text-transfer-transformer
pytorch/pytorch|tensorflow/tensorflow|huggingface/transformers|explosion/spaCy|Shannon (1951)
Bengio|Hochreiter|Kneser|Sennrich|Kingma|Loshchilov|RoFormer|LLaMA|SwiGLU|Root Mean Square|ELMo
FlashAttention|Chinchilla|Kaplan|LoRA|Muon
""".replace("\n", "|")
    .strip("|")
    .split("|")
)


def glossary_rows():
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [re.split(r"(?<!\\) ?\| ?", row)[1:-1] for row in rows]
    return [row for row in cells if row[0] != "English"]


def in_code(row):
    """Names in backticks, without those that other projects use (in parentheses)."""
    return re.findall(r"`([^`]+)`", re.sub(r"\(.*?\)", "", row[2]))


def slug(heading):
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_glossary_is_bilingual_and_complete():
    rows = glossary_rows()
    assert len(rows) >= 80
    for row in rows:
        english, chinese, _, _, meaning, chinese_meaning, notebooks = row
        assert meaning.endswith("."), english
        assert chinese, english
        assert chinese_meaning.endswith("。"), english
        assert re.search(r"[\u4e00-\u9fff]", chinese_meaning), english
        assert re.fullmatch(r"\d\d((, |–)\d\d)*", notebooks), english
    names = [row[0] for row in rows]
    assert len(names) == len(set(names))


def test_the_glossary_explains_every_name_of_the_style():
    text = (ROOT / "docs" / "style.md").read_text("utf-8")
    section = text.partition("## Names")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    wanted = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert len(wanted) > 40
    assert wanted - {name for row in glossary_rows() for name in in_code(row)} == set()


def test_names_of_the_glossary_stand_in_the_code():
    names = {name for row in glossary_rows() for name in in_code(row)} - PLANNED_NAMES
    missing = {name for name in names if name.strip("-/").replace("-", "_") not in CODE}
    assert {name for name in missing if name not in CODE} == set()


def test_the_reading_list_covers_every_notebook_and_work():
    text = (ROOT / "docs" / "reading.md").read_text("utf-8")
    assert re.findall(r"^### (\d\d) · ", text, re.MULTILINE) == [f"{n:02}" for n in range(18)]
    assert [work for work in READINGS if work not in text] == []
    ids = re.findall(r"\b(\d{4}\.\d{4,5})\b", text)
    assert len(set(ids)) > 40
    assert all(1 <= int(number[2:4]) <= 12 for number in ids)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_point_at_what_exists(path):
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    anchors = {slug(line.lstrip("# ")) for line in text.splitlines() if line.startswith("#")}
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("#"):
            assert link[1:] in anchors, link
        elif not link.startswith("https://"):
            assert (path.parent / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_documents_name_no_path_of_one_machine(path):
    text = path.read_text("utf-8")
    assert re.findall(r"\.\./shared|(?<![\w.])/(?:work|root|home|tmp)\b", text) == []
