"""What a path means, and which checkpoint of a run is the newest that is whole."""

import pytest

from minillm.checkpoint import find_checkpoint, newest_valid, write_checkpoint
from minillm.errors import CheckpointError, ConfigError


def test_find_checkpoint_in_a_run(tmp_path, contents, write_steps):
    first, second = write_steps(tmp_path, 60, 120)
    assert find_checkpoint(tmp_path) == second
    assert find_checkpoint(tmp_path / "checkpoints") == second
    assert find_checkpoint(first) == first
    final = write_checkpoint(tmp_path / "final", contents())
    assert find_checkpoint(tmp_path) == final
    assert find_checkpoint(str(final)) == final


def test_find_checkpoint_explains_what_it_cannot_use(tmp_path, checkpoint):
    with pytest.raises(ConfigError, match="nowhere: there is no such folder"):
        find_checkpoint(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"model\.safetensors is a file: give .*final"):
        find_checkpoint(checkpoint / "model.safetensors")
    (tmp_path / "docs").mkdir()
    with pytest.raises(ConfigError, match=r"docs holds no checkpoint: .* found nothing"):
        find_checkpoint(tmp_path / "docs")
    for index in range(7):
        (tmp_path / "docs" / f"{index}.md").touch()
    with pytest.raises(ConfigError, match=r"found 0\.md, 1\.md, 2\.md, 3\.md, 4\.md, …"):
        find_checkpoint(tmp_path / "docs")


def test_newest_valid(tmp_path, write_steps):
    assert newest_valid(tmp_path) is None
    folders = write_steps(tmp_path, 9, 10, 100_000_000)
    (tmp_path / "checkpoints" / "step-00000200.minillm.tmp").mkdir()
    (tmp_path / "checkpoints" / "step-00000300").touch()  # a file of that name is no checkpoint
    assert newest_valid(tmp_path) == (folders[2], [])  # nine digits: as a number, not as a word
    assert newest_valid(tmp_path, before=100_000_000) == (folders[1], [])
    assert newest_valid(tmp_path, before=9) is None
    for folder in folders:
        (folder / "config.json").unlink()
    with pytest.raises(
        CheckpointError, match=r"no checkpoint is intact; delete .*100000000/config"
    ):
        newest_valid(tmp_path)
