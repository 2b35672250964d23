import itertools

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from minillm.batch import Batch
from minillm.config import DecoderConfig
from minillm.models.counts import count_flops, count_memory, count_parameters
from minillm.models.decoder import Decoder
from minillm.optim import make_optimizer

SIZES = {"vocab_size": 37, "context_length": 11, "d_model": 24, "n_heads": 6, "d_ff": 29}
B, T = 2, 7
PARTS = {
    "n_layers": [1, 3],
    "n_kv_heads": [None, 2],
    "norm": ["layer_norm", "rms_norm"],
    "norm_position": ["pre", "post"],
    "positions": ["learned", "sinusoidal", "rotary"],
    "feed_forward": ["gelu", "gelu_tanh", "relu", "relu_squared", "swiglu"],
    "use_bias": [True, False],
    "tie_embeddings": [True, False],
}
GRID = [dict(zip(PARTS, values, strict=True)) for values in itertools.product(*PARTS.values())]
BACKENDS = ["reference", "sdpa"]


def every(k):
    """A sample of the grid that holds every value of every part with others: k is a prime."""
    sample = GRID[::k]
    assert all({c[name] for c in sample} == set(values) for name, values in PARTS.items())
    return sample


def make_batch():
    inputs, targets = torch.randint(37, (2, B, T), generator=torch.Generator().manual_seed(0))
    return Batch(inputs=inputs.clone(), targets=targets.clone())  # no storage in common


def test_parameters_are_counted_exactly():
    for changes in every(17):
        config = DecoderConfig(**SIZES, **changes)
        assert count_parameters(config) == Decoder(config).n_parameters(), changes
    default = DecoderConfig.llama(vocab_size=37, d_model=24)  # d_ff from the family
    assert count_parameters(default) == Decoder(default).n_parameters()


def test_published_models_have_their_size():
    llama = DecoderConfig.llama(
        vocab_size=32000, d_model=4096, n_layers=32, n_heads=32, d_ff=11008
    )  # Touvron et al. 2023, table 2: "6.7B"
    assert count_parameters(llama) == 6_738_415_616


def test_flops_are_those_that_torch_counts():
    for changes in every(17):
        config = DecoderConfig(**SIZES, **changes)
        model, batch = Decoder(config, backend="reference"), make_batch()
        counted = []
        for run in (
            lambda model=model, batch=batch: model(batch.inputs),
            lambda model=model, batch=batch: model.loss_sums(batch)["tokens"].backward(),
        ):
            with FlopCounterMode(display=False) as counter:
                run()
            counted.append(counter.get_total_flops())
        assert list(count_flops(config, batch_size=B, n_tokens=T)) == counted, changes


def saved_bytes(model, batch):
    """Bytes of the distinct storages that autograd saves, weights left out."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    storages, kept = {}, []

    def pack(x):
        kept.append(x)  # alive, so that no address comes twice
        storages[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        loss = model.loss_sums(batch)["tokens"]
    assert loss.requires_grad
    return sum(size for place, size in storages.items() if place not in weights)


@pytest.mark.parametrize("backend", BACKENDS)
def test_activations_are_those_that_autograd_saves(backend):
    for changes in every(17):
        config = DecoderConfig(**SIZES, **changes)
        memory = count_memory(config, batch_size=B, n_tokens=T, backend=backend)
        found = saved_bytes(Decoder(config, backend=backend), make_batch())
        assert memory.activations == found, changes


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw"])
def test_weights_gradients_and_optimizer_are_those_of_a_step(name):
    config = DecoderConfig.gpt(**SIZES, n_layers=2)
    model = Decoder(config)
    optimizer = make_optimizer(model, name=name, learning_rate=0.1)
    model.loss_sums(make_batch())["tokens"].backward()
    optimizer.step()
    moments = [
        x
        for state in optimizer.state.values()
        for x in state.values()
        if isinstance(x, torch.Tensor) and x.ndim > 0  # not the step counters
    ]
    memory = count_memory(config, batch_size=B, n_tokens=T, optimizer=name)
    parts = (list(model.parameters()), [p.grad for p in model.parameters()], moments)
    assert list(memory[:3]) == [sum(x.nbytes for x in part) for part in parts]
    assert memory.total == sum(memory)


def test_sdpa_keeps_no_square_matrix():
    config = DecoderConfig.gpt(vocab_size=5, context_length=4096)

    def activations(backend, n_tokens):
        return count_memory(config, batch_size=1, n_tokens=n_tokens, backend=backend).activations

    assert activations("sdpa", 4096) == 2 * activations("sdpa", 2048)
    assert activations("reference", 4096) > 3 * activations("reference", 2048)


def test_a_text_beyond_the_context_is_refused():
    config = DecoderConfig(**SIZES)
    for count in (count_flops, count_memory):
        with pytest.raises(ValueError, match="n_tokens=12 is more than context_length=11"):
            count(config, batch_size=1, n_tokens=12)
