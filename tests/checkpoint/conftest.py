"""Small checkpoints to write, damage and find."""

import pytest
import torch

from minillm.checkpoint import step_name, write_checkpoint


def contents_of(step=1):
    return {
        "model.safetensors": {"weight": torch.arange(15.0).view(3, 5) * step, "n": torch.tensor(7)},
        "config.json": {"n_layers": 2, "名": "值"},
        "tokenizer.json": '{"model": {"type": "BPE"}}',
        "notes.txt": "two\r\nlines\n",
    }


@pytest.fixture
def contents():
    return contents_of


@pytest.fixture
def names():
    return lambda folder: sorted(path.name for path in folder.iterdir())


@pytest.fixture
def write_steps():
    def write(run, *steps):
        return [write_checkpoint(run / step_name(s), contents_of(s), step=s) for s in steps]

    return write


@pytest.fixture
def checkpoint(tmp_path):
    return write_checkpoint(tmp_path / "final", contents_of(1), step=1)
