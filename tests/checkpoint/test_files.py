"""Writing: complete or absent, the same bytes each time; rows 1, 9 and 10 of FAULTS."""

import errno
import hashlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import minillm
from minillm.checkpoint import (
    find_checkpoint,
    newest_valid,
    read_checkpoint,
    step_name,
    write_checkpoint,
)
from minillm.errors import CheckpointError, ConfigError


def test_what_was_written_is_read(checkpoint, contents):
    found = read_checkpoint(checkpoint)
    expected = contents()
    assert found.keys() == expected.keys()
    for name, tensor in expected["model.safetensors"].items():
        assert torch.equal(found["model.safetensors"][name], tensor)
        assert found["model.safetensors"][name].dtype == tensor.dtype
    assert found["config.json"] == expected["config.json"]
    assert found["tokenizer.json"] == {"model": {"type": "BPE"}}
    assert (checkpoint / "tokenizer.json").read_text() == expected["tokenizer.json"]  # as it was
    assert found["notes.txt"] == "two\r\nlines\n"
    assert list(read_checkpoint(checkpoint, ["config.json"])) == ["config.json"]
    with pytest.raises(CheckpointError, match=r"final holds no optimizer\.json: .* config\.json"):
        read_checkpoint(checkpoint, ["optimizer.json"])


def test_same_contents_give_the_same_bytes(tmp_path, contents):
    folders = [write_checkpoint(tmp_path / name, contents(), step=1) for name in ("a", "b")]
    first, second = ({p.name: p.read_bytes() for p in folder.iterdir()} for folder in folders)
    assert first == second


def test_manifest_tells_its_versions_and_hashes(checkpoint):
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    assert (manifest["format_version"], manifest["step"]) == (1, 1)
    assert manifest["minillm_version"] == minillm.__version__
    for name, entry in manifest["files"].items():
        raw = (checkpoint / name).read_bytes()
        assert entry == {"size_bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}


def test_files_are_readable_as_the_umask_says(checkpoint):
    modes = {path.stat().st_mode & 0o777 for path in checkpoint.iterdir()}
    assert modes == {checkpoint.stat().st_mode & 0o666}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("../config.json", {}, "not a name"),
        ("a/b.json", {}, "not a name"),
        ("manifest.json", {}, "not a name"),
        ("config.json", {"loss": float("nan")}, "config.json cannot be written as JSON"),
        ("config.json", {"path": Path("x")}, "config.json cannot be written as JSON"),
        ("notes.txt", 3, "notes.txt must be text, got int"),
    ],
)
def test_contents_that_do_not_fit_leave_nothing(tmp_path, name, content, message, names):
    with pytest.raises(ValueError, match=message):
        write_checkpoint(tmp_path / "run" / "final", {name: content})
    assert not (tmp_path / "run").exists() or names(tmp_path / "run") == []


def test_a_folder_with_other_files_is_not_replaced(tmp_path, contents, names):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match=r"it holds thesis\.txt"):
        write_checkpoint(tmp_path, contents())
    assert names(tmp_path) == ["thesis.txt"]


def test_a_damaged_target_is_replaced(tmp_path, contents, write_steps, names):
    (folder,) = write_steps(tmp_path, 60)
    (folder / "manifest.json").write_text("{")
    write_checkpoint(folder, contents(7), step=60)
    assert newest_valid(tmp_path) == (folder, [])
    assert names(tmp_path / "checkpoints") == [folder.name]


def test_cleaning_spares_what_is_not_ours(tmp_path, contents, names):
    for name in ("mine.tmp", "other.minillm.tmp", "step-00000007.tmp", "final.minillm.tmp"):
        (tmp_path / name).mkdir()
    write_checkpoint(tmp_path / "final", contents())
    assert names(tmp_path) == ["final", "mine.tmp", "other.minillm.tmp", "step-00000007.tmp"]


# Row 1: killed at any file event. The child forks for each event, so that torch loads only once.
KILLED_WRITER = """
import os, shutil, signal, sys
from pathlib import Path
import torch
from minillm.checkpoint import read_checkpoint, write_checkpoint

def files(step):
    return {"model.safetensors": {"w": torch.full((7,), float(step))}, "config.json": {"s": step}}

EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree")
countdown, real_fsync = None, os.fsync

def tick():
    global countdown
    if countdown is not None:
        countdown -= 1
        if countdown == 0:
            os.kill(os.getpid(), signal.SIGKILL)

def fsync(descriptor):
    tick()
    real_fsync(descriptor)

def save(folder, kill_at):
    global countdown
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    os.fsync = fsync
    sys.addaudithook(lambda event, _: event in EVENTS and tick())
    countdown = kill_at
    write_checkpoint(folder, files(2), step=2)
    os._exit(0)

root = Path(sys.argv[1])

def kill_everywhere(mode):
    for kill_at in range(1, 200):
        if attempt(root / mode / str(kill_at), kill_at, replace=mode == "replace") == 0:
            return

def attempt(run, kill_at, replace):
    write_checkpoint(run / "checkpoints/step-00000001", files(1), step=1)
    folder = run / "checkpoints/step-00000002"
    if replace:
        write_checkpoint(folder, files(1.5), step=2)
    return save(folder, kill_at)

kill_everywhere("new")
kill_everywhere("replace")
"""


@pytest.fixture(scope="module")
def killed_runs(tmp_path_factory):
    """Map a mode to its runs: in each, the writer was killed before another file event."""
    root = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-W", "ignore", "-c", KILLED_WRITER, str(root)]
    subprocess.run(command, check=True, cwd=Path(minillm.__file__).parents[1])
    return {
        mode.name: sorted(mode.iterdir(), key=lambda path: int(path.name))
        for mode in root.iterdir()
    }


@pytest.mark.parametrize("mode", ["new", "replace"])
def test_killed_at_any_file_event_row1(killed_runs, mode, contents, names):
    runs = killed_runs[mode]
    assert len(runs) > 15  # opens, flushes, renames, removals: each was the last thing once
    seen = set()
    for run in runs:
        path, warnings = newest_valid(run)
        found = read_checkpoint(path)
        step = found["config.json"]["s"]
        seen.add(step)
        assert found["model.safetensors"]["w"].tolist() == [step] * 7  # whole, never mixed
        assert warnings == []
        if mode == "replace":
            assert step in (1.5, 2)  # the old one or the new one is always there
        write_checkpoint(run / step_name(3), contents(3), step=3)
        assert not [name for name in names(run / "checkpoints") if "minillm" in name]
        assert newest_valid(run)[0].name == "step-00000003"
        assert read_checkpoint(newest_valid(run, before=3)[0])["config.json"]["s"] == step
    assert seen == ({1.5, 2} if mode == "replace" else {1, 2})
    assert newest_valid(runs[-1], before=3)[0].name == "step-00000002"  # the last was not killed


@pytest.mark.parametrize("name", ["with space", "检查点 é", "dot.pt", "-dash", "ends.tmp"])
def test_paths_with_spaces_and_unicode_row9(tmp_path, name, contents):
    folder = write_checkpoint(tmp_path / name / name, contents())
    assert find_checkpoint(folder) == folder
    assert read_checkpoint(str(folder))["config.json"] == contents()["config.json"]


def test_relative_paths_row9(tmp_path, monkeypatch, contents):
    monkeypatch.chdir(tmp_path)
    assert write_checkpoint("final", contents()) == tmp_path / "final"
    assert find_checkpoint("final") == Path("final")
    assert read_checkpoint("final")["config.json"] == contents()["config.json"]


def test_a_file_in_the_way_row9(tmp_path, contents, names):
    (tmp_path / "taken").write_text("x")
    with pytest.raises(ConfigError, match=r"taken: a file has that name"):
        write_checkpoint(tmp_path / "taken", contents())
    with pytest.raises(ConfigError, match=r"taken/final: a part of that path is a file"):
        write_checkpoint(tmp_path / "taken" / "final", contents())
    assert (tmp_path / "taken").read_text() == "x"
    assert names(tmp_path) == ["taken"]


def test_a_folder_where_a_file_is_expected_row9(checkpoint):
    (checkpoint / "config.json").unlink()
    (checkpoint / "config.json").mkdir()
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize("real", [True, False])
def test_read_only_folder_row9(tmp_path, monkeypatch, real, contents, names):
    if real:
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        tmp_path.chmod(0o500)
    else:

        def refuse(self, *args, **kwargs):
            raise PermissionError(errno.EACCES, "Permission denied", str(self))

        monkeypatch.setattr(
            Path, "mkdir", lambda self, *a, exist_ok=False, **k: exist_ok or refuse(self)
        )
    with pytest.raises(PermissionError, match="final"):
        write_checkpoint(tmp_path / "final", contents())
    tmp_path.chmod(0o700)
    assert names(tmp_path) == []


@pytest.fixture
def small_files():
    """Let the system itself refuse files above 2,000 bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "big", [{"model.safetensors": {"w": torch.ones(5000)}}, {"notes.txt": "x" * 5000}]
)
@pytest.mark.parametrize("replace", [True, False])
def test_file_too_large_row10(tmp_path, small_files, big, replace, contents, write_steps, names):
    first, second = write_steps(tmp_path, 60, 120)
    target = second if replace else tmp_path / step_name(180)
    small_files()
    with pytest.raises(OSError, match=next(iter(big))) as caught:
        write_checkpoint(target, contents() | big, step=180)
    assert caught.value.errno == errno.EFBIG
    assert names(tmp_path / "checkpoints") == [first.name, second.name]  # no part is left
    assert newest_valid(tmp_path) == (second, [])


@pytest.mark.parametrize("n_flushes", range(7))  # four files, the manifest, two folders
def test_full_disk_at_any_flush_row10(
    tmp_path, monkeypatch, n_flushes, contents, write_steps, names
):
    first, second = write_steps(tmp_path, 60, 120)
    left = n_flushes

    def fsync(descriptor):
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left -= 1

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="No space left"):
            write_checkpoint(second, contents(9), step=120)
    assert newest_valid(tmp_path)[0] == second
    expected = contents(120 if n_flushes < 6 else 9)  # the last flush comes after the rename
    weight = read_checkpoint(second)["model.safetensors"]["weight"]
    assert torch.equal(weight, expected["model.safetensors"]["weight"])
    assert not list((tmp_path / "checkpoints").glob("*.tmp"))
    write_steps(tmp_path, 180)
    assert names(tmp_path / "checkpoints") == [first.name, second.name, "step-00000180"]
