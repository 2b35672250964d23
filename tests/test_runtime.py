import itertools
import json
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minillm import runtime
from minillm.errors import ConfigError
from minillm.runtime import (
    bfloat16_speedup,
    derive_generator,
    derive_seed,
    fastest,
    machine_signature,
    n_available_cores,
    preserved_process_state,
    random_state,
    resolve_device,
    resolve_dtype,
    seeded_random_state,
    set_random_state,
)

# Written down once: another value would give every stored run other batches.
FROZEN_SEEDS = {
    (0,): 3_582_888_934_675_442_504,
    (0, "shuffle", 0): 3_597_438_564_160_600_339,
    (7, "generate"): 6_151_176_951_266_189_538,
    (2**63 - 1, "cut", 12): 6_581_362_927_292_017_155,
}


@pytest.mark.parametrize("keys", FROZEN_SEEDS)
def test_seeds_are_the_same_on_every_machine(keys):
    assert derive_seed(*keys) == FROZEN_SEEDS[keys]


def test_each_purpose_has_its_own_seed():
    purposes = [(), (0,), ("0",), (0, 0), ("0, 0",), ("a",), ("a", 1), ("a1",), ("a", "1"), (1,)]
    seeds = [derive_seed(seed, *keys) for seed in (0, 1) for keys in purposes]
    assert len(set(seeds)) == len(seeds)


@given(st.integers(0, 2**63 - 1), st.lists(st.integers() | st.text()))
def test_a_seed_fits_every_generator(seed, keys):
    derived = derive_seed(seed, *keys)
    assert 0 <= derived < 2**63
    assert derived == derive_seed(seed, *keys)
    torch.Generator().manual_seed(derived)


def test_integers_of_other_libraries_are_integers():
    assert derive_seed(np.int64(3), np.uint16(5)) == derive_seed(3, 5)
    assert derive_seed(3, torch.tensor(5)) == derive_seed(3, 5)
    with pytest.raises(TypeError, match="float"):
        derive_seed(3, 0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 2**63, 10**30])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(ConfigError, match=rf"seed must be from 0 to 2\*\*63 - 1, got {seed}"):
        derive_seed(seed)


def test_generators_are_those_of_their_seed_and_leave_the_global_one_alone():
    before = torch.get_rng_state()
    expected = torch.rand(3, generator=torch.Generator().manual_seed(derive_seed(5, "masks", 2)))
    assert torch.equal(torch.rand(3, generator=derive_generator(5, "masks", 2)), expected)
    assert torch.equal(torch.get_rng_state(), before)


# The global random states (a resumed run draws the numbers that were due).


@pytest.fixture
def untouched():
    """Give the other tests their random states back."""
    state = random_state()
    yield
    set_random_state(state)


def draws():
    """One number of every kind that a library may draw from the global states."""
    return [
        random.random(),
        random.gauss(0, 1),
        random.getrandbits(32),
        np.random.rand(),  # noqa: NPY002
        np.random.randn(),  # noqa: NPY002
        torch.rand(()).item(),
        torch.randn(17).sum().item(),  # 16 and more go another way than single numbers
        torch.randint(10**9, ()).item(),
    ]


@pytest.mark.parametrize("n_before", [0, 1, 3, 400])
@pytest.mark.usefixtures("untouched")
def test_the_next_draws_are_equal_row16(n_before):
    for _ in range(n_before):  # odd counts leave half a pair of gaussians behind
        draws()
    random.gauss(0, 1), np.random.randn()  # noqa: NPY002
    state = json.loads(json.dumps(random_state()))  # as a checkpoint stores it
    expected = [draws() for _ in range(5)]
    for _ in range(7):
        draws()
    set_random_state(state)
    assert [draws() for _ in range(5)] == expected


@pytest.mark.usefixtures("untouched")
def test_reading_the_state_draws_nothing_row16():
    state = random_state()
    assert random_state() == state
    draws()
    assert all(
        random_state()[library] != state[library] for library in ("python", "numpy", "torch")
    )


@pytest.mark.usefixtures("untouched")
def test_the_states_of_gpus_come_back_row16(monkeypatch):
    """Dropout on a GPU draws there; two of them are played by tensors."""
    states = [torch.tensor([1, 2, 255], dtype=torch.uint8), torch.tensor([7], dtype=torch.uint8)]
    restored = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: states)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", restored.extend)
    state = json.loads(json.dumps(random_state()))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    set_random_state(state)  # continued on a machine without them
    assert restored == []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    set_random_state(state)
    assert [one.tolist() for one in restored] == [[1, 2, 255], [7]]


@pytest.mark.usefixtures("untouched")
def test_a_seeded_state_is_that_of_fresh_generators():
    before = random_state()
    state = json.loads(json.dumps(seeded_random_state(7)))
    assert random_state() == before
    assert state == seeded_random_state(7) != seeded_random_state(8)
    set_random_state(state)
    generator = torch.Generator().manual_seed(derive_seed(7, "torch"))
    assert random.random() == random.Random(derive_seed(7, "python")).random()
    assert torch.equal(torch.rand(3), torch.rand(3, generator=generator))
    legacy = np.random.RandomState(derive_seed(7, "numpy") % 2**32)
    assert np.random.rand() == legacy.rand()  # noqa: NPY002


def test_the_caller_gets_random_states_and_threads_back():
    def spoil():
        draws()
        torch.set_num_threads(torch.get_num_threads() + 1)
        raise OSError("stopped")

    state, n_threads = random_state(), torch.get_num_threads()
    with pytest.raises(OSError, match="stopped"), preserved_process_state():
        spoil()
    assert (random_state(), torch.get_num_threads()) == (state, n_threads)


# What "auto" becomes.


@pytest.mark.parametrize(("is_available", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_device_takes_a_gpu_where_there_is_one(monkeypatch, is_available, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_available)
    assert resolve_device("auto") == expected


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "mps"])
def test_a_device_that_exists_stays_what_was_asked(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "is_available", lambda: True)
    assert resolve_device(device) == device


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps", "gpu", "", "meta", "cpu:x"])
def test_a_device_that_does_not_exist_is_refused(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"no device '{device}' on this machine; use cpu or auto"):
        resolve_device(device)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_given_dtype_is_not_measured(monkeypatch, dtype, device):
    monkeypatch.setattr(runtime, "bfloat16_speedup", lambda: pytest.fail("measured"))
    assert resolve_dtype(dtype, device=device) == dtype


@pytest.mark.parametrize(
    ("speedup", "expected"), [(0.027, "float32"), (1.4, "float32"), (4.5, "bfloat16")]
)
def test_auto_dtype_on_a_cpu_follows_the_probe(monkeypatch, speedup, expected):
    monkeypatch.setattr(runtime, "bfloat16_speedup", lambda: speedup)
    assert resolve_dtype("auto", device="cpu") == expected


@pytest.mark.parametrize(
    ("device", "is_supported", "expected"),
    [("cuda", True, "bfloat16"), ("cuda:1", False, "float32"), ("mps", True, "float32")],
)
def test_auto_dtype_on_a_gpu_asks_it(monkeypatch, device, is_supported, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: is_supported)
    assert resolve_dtype("auto", device=device) == expected


@pytest.mark.parametrize("dtype", ["float64", "fp32", "", "AUTO"])
def test_another_dtype_is_refused(dtype):
    with pytest.raises(ConfigError, match=f"float32, bfloat16 or float16, got '{dtype}'"):
        resolve_dtype(dtype, device="cpu")


# Measuring, with clocks that tick as the test says.


class Clock:
    """Time passes only while a call works."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.calls = []
        monkeypatch.setattr("time.perf_counter", lambda: self.now)

    def call(self, name, durations):
        durations = itertools.cycle(durations)

        def work():
            self.calls.append(name)
            self.now += next(durations)

        return work


def test_fastest_takes_the_least_time_of_each(monkeypatch):
    clock = Clock(monkeypatch)
    candidates = {
        "steady": clock.call("steady", [3.0]),
        "disturbed": clock.call("disturbed", [50.0, 5.0, 2.0, 40.0]),  # the mean would lose
        "quick start": clock.call("quick start", [0.5, 4.0, 4.0, 4.0]),  # the first is not counted
    }
    assert fastest(candidates) == "disturbed"
    assert clock.calls == list(candidates) * 4  # interleaved: a busy minute hits all alike


def test_fastest_does_not_wait_for_what_cannot_win(monkeypatch):
    clock = Clock(monkeypatch)
    times = {"good": [1.0], "hopeless": [25.0], "twice": [2.0]}
    assert fastest({name: clock.call(name, time) for name, time in times.items()}) == "good"
    counts = {name: clock.calls.count(name) for name in times}
    assert counts == {"good": 4, "hopeless": 2, "twice": 4}  # the warm-up included


@pytest.mark.parametrize(("margin", "winner"), [(1.0, "quick"), (1.15, "quick"), (1.3, "usual")])
def test_the_favorite_of_fastest_loses_only_clearly(monkeypatch, margin, winner):
    clock = Clock(monkeypatch)
    times = {"usual": [9.0, 1.2, 1.5, 1.4], "quick": [9.0, 1.3, 1.0, 1.1]}
    calls = {name: clock.call(name, one) for name, one in times.items()}
    assert fastest(calls, margin=margin) == winner


def test_fastest_of_equals_is_the_first(monkeypatch):
    clock = Clock(monkeypatch)
    assert fastest({name: clock.call(name, [1.0]) for name in "bca"}, n_repeats=1) == "b"


def test_speedup_is_the_ratio_of_the_best_times(monkeypatch):
    clock = Clock(monkeypatch)
    times = {
        torch.float32: itertools.cycle([90.0, 8.0, 6.0, 7.0]),
        torch.bfloat16: itertools.cycle([0.1, 9.0, 2.0, 3.0]),  # the first product sets up
    }

    def product(x, _):
        clock.now += next(times[x.dtype])

    monkeypatch.setattr(torch, "mm", product)
    assert bfloat16_speedup() == 3.0
    monkeypatch.undo()
    assert bfloat16_speedup(size=16, n_repeats=2) > 0


def test_the_machine_is_described():
    signature = machine_signature()
    assert signature == json.loads(json.dumps(signature))
    assert signature["torch"] == torch.__version__
    assert torch.backends.cpu.get_cpu_capability() in signature["cpu"]


def test_cores_are_those_this_process_may_use(monkeypatch):
    assert n_available_cores() >= 1
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert n_available_cores() == 3
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert n_available_cores() == 1
