"""Reading: damage is seen, named and never run; rows 2 to 5, 8 and 11 of FAULTS."""

import pickle
import random
import resource
import shutil
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
import torch

import minillm
from minillm.checkpoint import find_checkpoint, newest_valid, read_checkpoint, write_checkpoint
from minillm.checkpoint.manifest import Entry, Manifest
from minillm.errors import CheckpointError


def reseal(folder):
    """Write a manifest that vouches for the files as they are: damage that no hash can see."""
    files = {path.name: Entry.measure(path) for path in folder.iterdir()}
    files.pop("manifest.json")
    (folder / "manifest.json").write_text(Manifest(files).to_text())


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "manifest.json"])
@pytest.mark.parametrize("keep", ["0", "7", "8", "half", "n-1"])
def test_truncated_newest_falls_back_with_a_warning_row2(tmp_path, file, keep, write_steps):
    first, second = write_steps(tmp_path, 60, 120)
    raw = (second / file).read_bytes()
    size = {"half": len(raw) // 2, "n-1": len(raw) - 1}.get(keep) or (
        int(keep) if keep in "078" else 0
    )
    (second / file).write_bytes(raw[:size])
    with pytest.raises(CheckpointError, match=f"step-00000120/{file}"):
        read_checkpoint(second)
    path, (warning,) = newest_valid(tmp_path)
    assert path == first
    assert f"step-00000120/{file}" in warning
    assert "using step-00000060 instead" in warning
    with pytest.warns(RuntimeWarning, match="using step-00000060 instead"):
        assert find_checkpoint(tmp_path) == first


def bad_headers():
    def file(header, body=b"\0" * 8):
        return len(header).to_bytes(8, "little") + header + body

    def entry(first, last):
        return f'{{"dtype":"F32","shape":[1],"data_offsets":[{first},{last}]}}'

    overlap = f'{{"a":{entry(0, 4)},"b":{entry(0, 4)}}}'.encode()
    return {
        "too short": b"\x08\0\0",
        "length 2^63": (1 << 63).to_bytes(8, "little") + b"{}",
        "longer than 100 MB": (200_000_000).to_bytes(8, "little") + b"{}",
        "not UTF-8": file(b'{"\xff\xfe":1}'),
        "not JSON": file(b"{weight: 1}   "),
        "deep JSON": file(b"[" * 100_000),
        "overlapping": file(overlap, b"\0" * 4),
        "trailing byte": file(f'{{"a":{entry(0, 4)}}}'.encode(), b"\0" * 5),
        "offset beyond the end": file(f'{{"a":{entry(0, 1 << 40)}}}'.encode()),
    }


@pytest.mark.parametrize("resealed", [False, True], ids=["hash", "parser"])
@pytest.mark.parametrize("fault", bad_headers())
def test_bad_header_is_refused_quickly_row3(checkpoint, fault, resealed):
    (checkpoint / "model.safetensors").write_bytes(bad_headers()[fault])
    if resealed:  # the hash fits: now the parser itself must refuse
        reseal(checkpoint)
    peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        read_checkpoint(checkpoint)
    assert time.perf_counter() - start < 1  # the row's own limit; measured 1 ms
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (peak - peak_before) * (1 if sys.platform == "darwin" else 1024) < 50e6


def test_big_manifest_is_not_read_row3(checkpoint):
    with (checkpoint / "manifest.json").open("r+b") as file:
        file.truncate(1 << 36)  # sparse: 64 GiB of nothing
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=r"manifest\.json is damaged: more than"):
        read_checkpoint(checkpoint)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


@pytest.mark.parametrize("text", ["[" * 100_000, "null", "[]", '{"format": 3}', "{}", "\udcff"])
def test_strange_manifests_are_refused_row3(checkpoint, text):
    (checkpoint / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match=r"manifest\.json is"):
        read_checkpoint(checkpoint)


def test_every_flipped_bit_is_detected_row4(tmp_path):
    tiny = {"model.safetensors": {"w": torch.ones(2)}, "config.json": {"n": 1}}
    folder = write_checkpoint(tmp_path / "final", tiny)
    bits = [
        (path, bit) for path in sorted(folder.iterdir()) for bit in range(path.stat().st_size * 8)
    ]
    chosen = random.Random(0).sample(bits, 1100)
    assert {path for path, _ in chosen} == set(folder.iterdir())
    missed = []
    for path, bit in chosen:
        raw = bytearray(path.read_bytes())
        raw[bit // 8] ^= 1 << bit % 8
        original = path.read_bytes()
        path.write_bytes(raw)
        try:
            read_checkpoint(folder)
            missed.append((path.name, bit))
        except CheckpointError as error:
            assert path.name in str(error) or path.name == "manifest.json"  # noqa: PT017
        path.write_bytes(original)
    assert missed == []
    read_checkpoint(folder)  # the flips were undone: nothing else was wrong


def test_missing_file_row5(tmp_path, write_steps):
    (folder,) = write_steps(tmp_path, 120)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors is missing .* of step 120"):
        read_checkpoint(folder)


def test_missing_manifest_row5(tmp_path, write_steps):
    (folder,) = write_steps(tmp_path, 120)
    (folder / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"manifest\.json cannot be read .* not a complete"):
        read_checkpoint(folder)
    with pytest.raises(CheckpointError, match=r"manifest\.json is missing"):
        find_checkpoint(folder)


def test_file_of_another_step_names_both_row5(tmp_path, write_steps):
    first, second = write_steps(tmp_path, 60, 120)
    shutil.copy(first / "model.safetensors", second)
    message = r"model\.safetensors is the file of step 60 \(step-00000060\), not of step 120"
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(second)
    assert newest_valid(tmp_path)[0] == first


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "exploded"


@pytest.mark.parametrize("name", ["model.pt", "pytorch_model.bin", "model.PTH", "last.ckpt"])
def test_a_pickle_as_checkpoint_is_refused_row8(tmp_path, marker, name):
    path = tmp_path / "weights" / name
    path.parent.mkdir()
    path.write_bytes(pickle.dumps(Bomb(marker)))
    for given in (path, path.parent):
        with pytest.raises(CheckpointError, match=f"{name} is refused: .* pickle"):
            find_checkpoint(given)
    pickle.loads(path.read_bytes())  # the bomb is real
    assert marker.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "random.json", "optimizer.safetensors"])
@pytest.mark.parametrize("resealed", [False, True], ids=["hash", "parser"])
@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_inside_is_never_run_row8(checkpoint, marker, name, resealed, writer):
    if writer == "pickle":
        (checkpoint / name).write_bytes(pickle.dumps(Bomb(marker)))
    else:
        torch.save(Bomb(marker), checkpoint / name)
    if resealed:
        reseal(checkpoint)
    with pytest.raises(CheckpointError, match=name):
        read_checkpoint(checkpoint, [name])
    assert not marker.exists()


def test_no_module_of_minillm_unpickles_row8():
    for path in (Path(minillm.__file__).parent / "checkpoint").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "torch.load(" not in text
        assert "import pickle" not in text


def test_newer_format_row11(tmp_path, monkeypatch, contents, write_steps):
    write_steps(tmp_path, 60)
    with monkeypatch.context() as patch:
        patch.setattr("minillm.checkpoint.manifest.FORMAT_VERSION", 2)
        patch.setattr(minillm, "__version__", "7.8.9")
        (folder,) = write_steps(tmp_path, 120)
    message = rf"made by minillm 7\.8\.9 .* this is minillm {minillm.__version__} .*: update"
    for call in (
        lambda: read_checkpoint(folder),
        lambda: newest_valid(tmp_path),  # not damaged: never skipped in silence
        lambda: find_checkpoint(tmp_path),
        lambda: write_checkpoint(folder, contents()),  # nor replaced
    ):
        with pytest.raises(CheckpointError, match=message):
            call()
