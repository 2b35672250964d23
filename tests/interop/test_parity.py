"""Transformers computes what we compute: logits, losses, gradients, generated tokens."""

import json

import pytest
import torch
import torch.nn.functional as F

from minillm.batch import Batch
from minillm.config import DecoderConfig, EncoderConfig
from minillm.errors import CheckpointError, ConfigError
from minillm.generation import generate
from minillm.interop import from_transformers, to_transformers
from minillm.interop.names import to_theirs
from minillm.models.decoder import Decoder
from minillm.models.encoder import Encoder
from minillm.tokenizers import ByteTokenizer

transformers = pytest.importorskip("transformers", reason="pip install 'minillm[interop]'")
V, B, T = 263, 3, 11
SIZES = {"vocab_size": V, "context_length": 17, "d_model": 12, "n_layers": 2, "n_heads": 3}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def scrambled(model, std=0.3):
    """Give every parameter a value that matters, norms and biases too."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * std)
    return model.eval()


@pytest.fixture
def bert():
    config = EncoderConfig.bert(**SIZES, d_ff=20, has_next_sentence_head=True)
    return scrambled(Encoder(config))


@pytest.fixture
def gpt2():
    return scrambled(Decoder(DecoderConfig.gpt(**SIZES, d_ff=20, feed_forward="gelu_tanh")))


@pytest.fixture
def batch():
    """Pairs with padding on the right, some tokens hidden."""
    generator = torch.Generator().manual_seed(1)
    token_ids = torch.randint(0, V, (B, T), generator=generator)
    is_padding = torch.arange(T) >= torch.tensor([[11], [7], [9]])
    targets = token_ids.masked_fill(torch.rand(B, T, generator=generator) > 0.4, -100)
    return Batch(
        inputs=token_ids,
        targets=targets.masked_fill(is_padding, -100),
        is_padding=is_padding,
        segment_ids=(torch.arange(T) > 4).long().expand(B, T).contiguous(),
        labels=torch.tensor([0, 1, 1]),
    )


def opened(model, tmp_path, dtype=torch.float32):
    folder = to_transformers(model, tmp_path / "exported", tokenizer=ByteTokenizer())
    config = json.loads((folder / "config.json").read_text("utf-8"))
    theirs = getattr(transformers, config["architectures"][0])
    return theirs.from_pretrained(folder, dtype=dtype).eval()


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bert_gives_the_same_scores_losses_and_gradients(bert, batch, tmp_path, dtype):
    bert = bert.to(dtype)
    theirs = opened(bert, tmp_path, dtype)
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    given = {
        "input_ids": batch.inputs,
        "attention_mask": ~batch.is_padding,
        "token_type_ids": batch.segment_ids,
    }
    out = theirs(**given, labels=batch.targets, next_sentence_label=batch.labels)
    ours = bert(batch.inputs, segment_ids=batch.segment_ids, is_padding=batch.is_padding)
    real = ~batch.is_padding
    torch.testing.assert_close(ours[real], out.prediction_logits[real], **tolerance)
    torch.testing.assert_close(bert.label_logits(batch), out.seq_relationship_logits, **tolerance)
    counts = batch.n_scored()
    loss = sum(loss / counts[name] for name, loss in bert.loss_sums(batch).items())
    torch.testing.assert_close(loss, out.loss, **tolerance)
    loss.backward()
    out.loss.backward()
    _assert_equal_gradients(bert, theirs, "bert", tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_gpt2_gives_the_same_scores_losses_and_gradients(gpt2, batch, tmp_path, dtype):
    gpt2 = gpt2.to(dtype)
    theirs = opened(gpt2, tmp_path, dtype)
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    real = ~batch.is_padding
    out = theirs(batch.inputs, attention_mask=real, labels=batch.inputs.masked_fill(~real, -100))
    ours = gpt2(batch.inputs, is_padding=batch.is_padding)
    torch.testing.assert_close(ours[real], out.logits[real], **tolerance)
    targets = batch.inputs[:, 1:].masked_fill(~real[:, 1:], -100)
    shifted = Batch(inputs=batch.inputs[:, :-1], targets=targets, is_padding=~real[:, :-1])
    loss = gpt2.loss_sums(shifted)["tokens"] / shifted.n_scored()["tokens"]
    their_loss = out.loss
    if dtype == torch.float64:  # GPT-2's own loss is float32 whatever its weights are
        their_loss = F.cross_entropy(out.logits[:, :-1].flatten(0, 1), targets.flatten())
    torch.testing.assert_close(loss, their_loss, **tolerance)
    loss.backward()
    their_loss.backward()
    _assert_equal_gradients(gpt2, theirs, "gpt2", tolerance)


def _assert_equal_gradients(ours, theirs, kind, tolerance):
    from minillm.interop import ARCHITECTURES

    gradients = {name: parameter.grad for name, parameter in ours.named_parameters()}
    named = to_theirs(gradients, ARCHITECTURES[kind].name_table(ours.config))
    others = dict(theirs.named_parameters())
    assert set(named) == set(others)
    for name, gradient in named.items():
        torch.testing.assert_close(gradient, others[name].grad, msg=name, **tolerance)


@pytest.mark.parametrize("use_cache", [True, False])
def test_gpt2_writes_the_same_tokens(gpt2, tmp_path, use_cache):
    theirs = opened(gpt2, tmp_path)
    prompt = torch.tensor([[5, 7, 11]])
    out = theirs.generate(
        prompt, max_new_tokens=9, do_sample=False, use_cache=use_cache, eos_token_id=None
    )
    ours = generate(gpt2, prompt.tolist(), max_new_tokens=9, temperature=0, use_cache=use_cache)
    assert ours[0] == out[0].tolist()


def test_padding_on_the_left_changes_no_score(gpt2, tmp_path):
    theirs = opened(gpt2, tmp_path)
    row = torch.tensor([[0, 0, 5, 7, 11]])
    is_padding = torch.tensor([[True, True, False, False, False]])
    out = theirs(
        row, attention_mask=~is_padding, position_ids=torch.tensor([[0, 0, 0, 1, 2]])
    ).logits
    ours = gpt2(row, is_padding=is_padding)
    torch.testing.assert_close(ours[:, 2:], out[:, 2:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_there_and_back_again_every_weight_is_the_same(name, request, tmp_path):
    model = request.getfixturevalue(name)
    theirs = opened(model, tmp_path)
    for source in (tmp_path / "exported", theirs):
        back = from_transformers(source)
        assert back.config == model.config
        for key, parameter in model.named_parameters():
            assert torch.equal(back.get_parameter(key), parameter), key


def test_an_untied_gpt2_keeps_its_own_output_matrix(tmp_path):
    config = DecoderConfig.gpt(**SIZES, feed_forward="gelu_tanh", tie_embeddings=False)
    model = scrambled(Decoder(config))
    theirs = opened(model, tmp_path)
    tokens = torch.tensor([[5, 7, 11]])
    torch.testing.assert_close(model(tokens), theirs(tokens).logits, rtol=1e-5, atol=1e-5)


def test_a_bare_bert_lacks_heads_and_says_so(bert, tmp_path):
    theirs = opened(bert, tmp_path)
    theirs.bert.save_pretrained(tmp_path / "bare")
    with pytest.raises(CheckpointError, match=r"missing: .*cls\.predictions"):
        from_transformers(tmp_path / "bare")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.pop("transformer.ln_f.weight"), r"missing: transformer\.ln_f\.weight"),
        (lambda t: t.update(extra=torch.zeros(2)), "unexpected: extra"),
        (
            lambda t: t.update({"transformer.wpe.weight": torch.zeros(5, 12)}),
            r"shape: position_embedding\.weight \(want 17 × 12, got 5 × 12\)",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(gpt2, tmp_path, damage, message):
    from safetensors.torch import load_file, save_file

    folder = to_transformers(gpt2, tmp_path / "exported", tokenizer=ByteTokenizer())
    tensors = load_file(folder / "model.safetensors")
    damage(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        from_transformers(folder)


def test_what_is_no_model_of_theirs_is_refused(gpt2, tmp_path):
    with pytest.raises(ConfigError, match="is no directory"):
        from_transformers(tmp_path / "nothing")
    with pytest.raises(ConfigError, match=r"holds no model\.safetensors"):
        from_transformers(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="pickled"):
        from_transformers(tmp_path)
    folder = to_transformers(gpt2, tmp_path / "exported", tokenizer=ByteTokenizer())
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "mamba"}))
    with pytest.raises(CheckpointError, match="of type 'mamba': minillm reads bert, gpt2, t5"):
        from_transformers(folder)
    with pytest.raises(ConfigError, match="must be a new or empty directory"):
        to_transformers(gpt2, folder, tokenizer=ByteTokenizer())


def test_a_llama_is_not_written_as_a_gpt2(tmp_path):
    llama = Decoder(DecoderConfig.llama(**SIZES | {"d_model": 18}))
    with pytest.raises(CheckpointError, match="only a GPT-2 can be written as one"):
        to_transformers(llama, tmp_path / "exported", tokenizer=ByteTokenizer())
    assert not (tmp_path / "exported").exists()


def test_their_tokenizer_gives_our_ids(gpt2, tmp_path):
    folder = to_transformers(gpt2, tmp_path / "exported", tokenizer=ByteTokenizer())
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    text = "Zoë reads 你好!\n"
    assert theirs(text)["input_ids"] == ByteTokenizer().encode(text)
    assert theirs.eos_token_id == ByteTokenizer().eos_id
