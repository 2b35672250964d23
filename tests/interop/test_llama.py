"""Llama computes what theirs computes: one convention of turning, shared heads, float32 norms."""

import json

import pytest
import torch

from minillm.batch import Batch
from minillm.config import DecoderConfig
from minillm.errors import CheckpointError
from minillm.interop import from_transformers, llama, read_tokenizer, to_transformers
from minillm.interop.names import to_theirs
from minillm.interop.verifying import verify_export
from minillm.models.decoder import Decoder
from minillm.optim import decay_groups, make_optimizer
from minillm.tokenizers import ByteTokenizer
from minillm.training import train

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
SIZES = {"vocab_size": 263, "context_length": 29, "d_model": 24, "n_layers": 2, "n_heads": 6}


@pytest.fixture
def make_llama(scrambled):
    def make(**changes):
        usual = {**SIZES, "n_kv_heads": 3, "d_ff": 20, "rotary_base": 500.0}
        return scrambled(Decoder(DecoderConfig.llama(**usual | changes)), std=0.2)

    return make


VARIANTS = {
    "grouped": {},
    "one key and value head": {"n_kv_heads": 1},
    "all heads": {"n_kv_heads": None},
    "tied": {"tie_embeddings": True},
    "biased": {"use_bias": True},
    "another eps": {"norm_eps": 1e-2},
}


@pytest.mark.parametrize(
    ("variant", "dtype"),
    [*((name, torch.float32) for name in VARIANTS), ("grouped", torch.float64)],
)
def test_scores_losses_and_gradients_are_the_same(variant, dtype, make_llama, batch, opened):
    ours = make_llama(**VARIANTS[variant]).to(dtype)
    theirs = opened(ours, dtype)
    real = ~batch.is_padding
    targets = batch.inputs.masked_fill(~real, -100)
    out = theirs(batch.inputs, attention_mask=real, labels=targets)
    logits = ours(batch.inputs, is_padding=batch.is_padding)
    torch.testing.assert_close(logits[real], out.logits[real], **TOLERANCE)
    shifted = Batch(
        inputs=batch.inputs[:, :-1], targets=targets[:, 1:], is_padding=batch.is_padding[:, :-1]
    )
    loss = ours.loss_sums(shifted)["tokens"] / shifted.n_scored()["tokens"]
    torch.testing.assert_close(loss.double(), out.loss.double(), **TOLERANCE)
    loss.backward()
    out.loss.backward()
    gradients = {name: parameter.grad for name, parameter in ours.named_parameters()}
    named, others = to_theirs(gradients, llama.name_table(ours.config)), theirs.named_parameters()
    others = dict(others)
    assert set(named) == set(others)
    for name, gradient in named.items():
        torch.testing.assert_close(gradient, others[name].grad, msg=name, **TOLERANCE)


@pytest.mark.parametrize("use_cache", [True, False])
def test_it_writes_the_same_tokens_padded_on_the_left_or_alone(
    use_cache, make_llama, opened, write_both
):
    ours = make_llama()
    padded, alone = write_both(ours, opened(ours), n_new=13, use_cache=use_cache)
    assert padded == alone
    assert len(set(map(tuple, alone))) == 3


def test_five_more_steps_of_training_give_the_same_losses(make_llama, opened, make_batch):
    ours = make_llama()
    theirs = opened(ours).train()
    optimizer = torch.optim.AdamW(decay_groups(theirs, 0.1), lr=0.01, betas=(0.9, 0.95))
    batches = [Batch(inputs=b.inputs, targets=b.targets) for b in map(make_batch, range(5))]
    expected = []
    for batch in batches:
        optimizer.zero_grad()
        labels = {"labels": batch.targets, "shift_labels": batch.targets}
        loss = theirs(batch.inputs, **labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        expected.append(loss.item())
    own = make_optimizer(ours, name="adamw", learning_rate=0.01, weight_decay=0.1)
    found = [result.loss for result in train(ours, own, [[batch] for batch in batches])]
    assert found == pytest.approx(expected, rel=1e-5)


def test_theirs_is_read_with_its_own_settings(transformers, scrambled, tmp_path):
    """Their defaults of head_dim, eps and base come from a configuration that they wrote."""
    config = transformers.LlamaConfig(
        vocab_size=263,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        intermediate_size=20,
        max_position_embeddings=29,
        rope_parameters={"rope_type": "default", "rope_theta": 777.0},
    )
    theirs = scrambled(transformers.LlamaForCausalLM(config).eval())
    theirs.save_pretrained(tmp_path / "theirs")
    tokens = torch.tensor([[5, 7, 11, 13, 17]])
    for source in (theirs, tmp_path / "theirs"):
        ours = from_transformers(source)
        torch.testing.assert_close(ours(tokens), theirs(tokens).logits, **TOLERANCE)
    theirs.model.save_pretrained(tmp_path / "bare")
    with pytest.raises(CheckpointError, match=r"lm_head.*save it as LlamaForCausalLM"):
        from_transformers(tmp_path / "bare")


def test_it_opens_with_the_auto_classes_and_comes_back(make_llama, transformers, tmp_path):
    model, tokenizer = make_llama(), ByteTokenizer()
    folder = to_transformers(model, tmp_path / "exported", tokenizer=tokenizer)
    assert verify_export(model, folder, tokenizer=tokenizer) < 1e-5
    read = transformers.AutoTokenizer.from_pretrained(folder)
    text = "Zoë reads 你好!\n"
    given = read(text[:9], return_tensors="pt")
    assert given["input_ids"].tolist() == [[tokenizer.bos_id, *tokenizer.encode(text[:9])]]
    assert read_tokenizer(folder).to_json() == tokenizer.to_json()
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    torch.testing.assert_close(theirs(**given).logits, model(given["input_ids"]), **TOLERANCE)
    back = from_transformers(folder)
    assert back.config == model.config
    for name, parameter in model.named_parameters():
        assert torch.equal(back.get_parameter(name), parameter), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "rope_type 'llama3'"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear"}}, "rope_type 'linear'"),
        ({"head_dim": 8}, "head_dim 8, minillm's 4"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ({"mlp_bias": True}, "mlp_bias True"),
    ],
)
def test_a_llama_that_computes_otherwise_is_refused(changes, message, make_llama, tmp_path):
    folder = to_transformers(make_llama(), tmp_path / "exported", tokenizer=ByteTokenizer())
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(CheckpointError, match=message):
        from_transformers(folder)


def test_the_base_of_an_older_configuration_is_read(make_llama, tmp_path):
    model = make_llama()
    folder = to_transformers(model, tmp_path / "exported", tokenizer=ByteTokenizer())
    config = json.loads((folder / "config.json").read_text("utf-8"))
    old = {"rope_parameters": None, "rope_theta": 500.0, "rope_scaling": None}
    (folder / "config.json").write_text(json.dumps(config | old))
    assert from_transformers(folder).config == model.config


@pytest.mark.parametrize(
    "changes", [{"norm": "layer_norm"}, {"feed_forward": "gelu"}, {"norm_position": "post"}]
)
def test_a_decoder_that_is_no_llama_is_not_written_as_one(changes, make_llama, tmp_path):
    with pytest.raises(CheckpointError, match=f"other parts: {next(iter(changes))}"):
        to_transformers(make_llama(**changes), tmp_path / "out", tokenizer=ByteTokenizer())
    assert not (tmp_path / "out").exists()
