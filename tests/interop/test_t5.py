"""Transformers' T5 computes what ours computes, in both versions."""

import json

import pytest
import torch

from minillm.batch import Batch
from minillm.config import EncoderDecoderConfig
from minillm.errors import CheckpointError
from minillm.generation import generate
from minillm.interop import from_transformers, to_transformers
from minillm.interop.names import to_theirs
from minillm.interop.t5 import name_table
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.tokenizers import (
    DEFAULT_SPECIAL_TOKENS,
    SENTINEL_TOKENS,
    ByteTokenizer,
    sentinel_ids,
)

transformers = pytest.importorskip("transformers", reason="pip install 'minillm[interop]'")
V, B, S, T = 263, 3, 17, 11
SIZES = {
    "vocab_size": V,
    "context_length": 37,
    "d_model": 14,
    "n_layers": 3,
    "n_decoder_layers": 2,  # with more than n_layers the cache of Transformers 5.24 is too short
    "n_heads": 3,
    "d_head": 5,
    "d_ff": 19,
    "n_buckets": 8,
    "max_distance": 9,
}
FAMILIES = {"1.0": EncoderDecoderConfig.t5, "1.1": EncoderDecoderConfig.t5_1_1}
# Their norms compute in float32 whatever the weights are: no closer agreement can be asked for.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def make(family, *, std=0.2, **changes):
    """Build a T5 of which every parameter matters, norms and biases too."""
    generator = torch.Generator().manual_seed(0)
    model = EncoderDecoder(FAMILIES[family](**(SIZES | changes)), generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * std)
    return model.eval()


@pytest.fixture(params=FAMILIES)
def model(request):
    return make(request.param)


@pytest.fixture
def batch():
    """Sources and targets of several lengths."""
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(V, (B, T), generator=generator)
    decoder_inputs = torch.cat([torch.full((B, 1), 258), targets[:, :-1]], dim=1)
    is_after_end = torch.arange(T) >= torch.tensor([[11], [7], [9]])
    return Batch(
        inputs=torch.randint(V, (B, S), generator=generator),
        is_padding=torch.arange(S) >= torch.tensor([[13], [17], [5]]),
        decoder_inputs=decoder_inputs,
        targets=targets.masked_fill(is_after_end, -100),
    )


def opened(model, tmp_path, dtype=torch.float32):
    folder = to_transformers(model, tmp_path / "exported", tokenizer=ByteTokenizer())
    return transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=dtype).eval()


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_scores_loss_and_gradients_agree(model, batch, tmp_path, backend):
    model.set_backend(backend)
    theirs = opened(model, tmp_path)
    out = theirs(input_ids=batch.inputs, attention_mask=~batch.is_padding, labels=batch.targets)
    ours = model(batch.inputs, batch.decoder_inputs, is_padding=batch.is_padding)
    scored = batch.targets != -100
    torch.testing.assert_close(ours[scored], out.logits[scored], **TOLERANCE)
    loss = model.loss_sums(batch)["tokens"] / batch.n_scored()["tokens"]
    torch.testing.assert_close(loss, out.loss, **TOLERANCE)
    torch.testing.assert_close(-model.log_probs(batch).sum() / scored.sum(), loss, **TOLERANCE)
    loss.backward()
    out.loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    named, others = to_theirs(gradients, name_table(model.config)), dict(theirs.named_parameters())
    assert set(named) == set(others)
    for name, gradient in named.items():
        torch.testing.assert_close(gradient, others[name].grad, msg=name, **TOLERANCE)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("use_cache", [True, False])
def test_the_same_tokens_are_written(family, batch, tmp_path, use_cache):
    model = make(family, std=0.7)  # far from repeating what was read
    theirs = opened(model, tmp_path)
    out = theirs.generate(
        input_ids=batch.inputs,
        attention_mask=(~batch.is_padding).long(),
        max_new_tokens=19,
        do_sample=False,
        use_cache=use_cache,
        eos_token_id=None,
    )
    ours = generate(
        model.given(batch.inputs, batch.is_padding),
        [[258]] * B,
        max_new_tokens=19,
        temperature=0,
        use_cache=use_cache,
    )
    assert ours == out.tolist()
    assert len({tuple(row) for row in ours}) == B  # each writes about its own source


def test_there_and_back_again_every_weight_is_the_same(model, tmp_path):
    theirs = opened(model, tmp_path)
    theirs.save_pretrained(tmp_path / "theirs")
    for source in (tmp_path / "exported", theirs, tmp_path / "theirs"):
        back = from_transformers(source)
        assert back.config == model.config
        for key, parameter in model.named_parameters():
            assert torch.equal(back.get_parameter(key), parameter), key


@pytest.mark.parametrize("kind", ["relu", "gated-gelu", "gated-silu", "gelu"])
def test_a_model_that_they_made_is_read(batch, kind):
    """Their own defaults; the output matrix of a fresh 1.1 is tied but not scaled."""
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=V, d_model=14, d_kv=5, d_ff=19, num_layers=2, num_decoder_layers=1, num_heads=3,
        feed_forward_proj=kind, tie_word_embeddings=kind == "relu", decoder_start_token_id=0,
    )  # fmt: skip
    theirs = transformers.T5ForConditionalGeneration(config).eval()
    ours = from_transformers(theirs)
    assert ours.config.tie_embeddings
    assert ours.config.scale_output == (kind == "relu")
    out = theirs(input_ids=batch.inputs, decoder_input_ids=batch.decoder_inputs)
    mine = ours(batch.inputs, batch.decoder_inputs)
    torch.testing.assert_close(mine, out.logits, **TOLERANCE)


def test_an_untied_matrix_is_noticed_whatever_their_config_says(tmp_path):
    model = make("1.1")
    folder = to_transformers(model, tmp_path / "exported", tokenizer=ByteTokenizer())
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    assert from_transformers(folder).config == model.config


def test_their_tokenizer_knows_the_sentinels(tmp_path):
    special_tokens = (*DEFAULT_SPECIAL_TOKENS, *SENTINEL_TOKENS[:5])
    tokenizer = ByteTokenizer(special_tokens=special_tokens)
    folder = to_transformers(make("1.0"), tmp_path / "exported", tokenizer=tokenizer)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    text = "Thank <extra_id_0> me to <extra_id_1> week."
    ours = tokenizer.encode(text, allowed_special=set(SENTINEL_TOKENS[:5]))
    ids = theirs(text, add_special_tokens=False)["input_ids"]
    assert ids == ours
    assert [token for token in ids if token > 255] == list(sentinel_ids(tokenizer)[:2])


def test_an_original_transformer_is_not_written_as_a_t5(tmp_path):
    original = EncoderDecoder(EncoderDecoderConfig.original(vocab_size=V, d_model=12, n_heads=3))
    with pytest.raises(CheckpointError, match=r"only a T5 can be written as one.* norm, norm_pos"):
        to_transformers(original, tmp_path / "exported", tokenizer=ByteTokenizer())
    with pytest.raises(CheckpointError, match=r"feed_forward_proj must be one of .*got 'mish'"):
        from_transformers(_with_activation(make("1.0"), tmp_path, "mish"))


def _with_activation(model, tmp_path, kind):
    folder = to_transformers(model, tmp_path / "exported", tokenizer=ByteTokenizer())
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"feed_forward_proj": kind}))
    return folder
