"""Bands: every seed's own kernel, cells tagged ``band`` left out, a width that follows its rule."""

import importlib.util
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]


def load_script():
    path = ROOT / "scripts" / "notebook_bands.py"
    spec = importlib.util.spec_from_file_location("notebook_bands", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


bands = load_script()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0, 3.0, 2.5], [1.0, 4.0]),  # the seeds differ: their distance on each side
        ([2.0, 2.0], [1.97, 2.03]),  # they agree: 1.5 % on each side
        ([2.0, 2.01], [1.9699, 2.0401]),
    ],
)
def test_the_band_is_as_wide_as_its_rule_says(values, expected):
    assert bands.band(values) == pytest.approx(expected, abs=1.1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the kernel's own libraries
def test_a_seed_reaches_the_notebook_and_tagged_cells_are_left_out(tmp_path):
    new = nbformat.v4
    notebook = new.new_notebook(
        cells=[
            new.new_markdown_cell("text"),
            new.new_code_cell(
                "import os\nfrom types import SimpleNamespace\n"
                "data = SimpleNamespace(manifest={'corpus_sha256': 'abc'})\n"
                "measured = {'loss': 10 + int(os.environ['MINILLM_SEED'])}"
            ),
            new.new_code_cell("raise ValueError('not stored yet')", metadata={"tags": ["band"]}),
        ]
    )
    nbformat.write(notebook, tmp_path / "10_small.ipynb")
    report = bands.run(tmp_path / "10_small.ipynb", 7, timeout_s=60)
    assert report["measured"] == {"loss": 17}
    assert report["corpus_sha256"] == "abc"
