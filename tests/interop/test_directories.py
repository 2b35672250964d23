"""Directories of theirs: what is accepted, what is refused and by which name."""

import json
import subprocess
import sys
import types

import pytest
import torch
from safetensors.torch import load_file, save_file

from minillm.errors import CheckpointError, ConfigError
from minillm.interop import from_transformers, to_transformers
from minillm.interop.verifying import require_transformers, verify_export
from minillm.tokenizers import ByteTokenizer


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_the_directory_opens_with_the_auto_classes(name, request, transformers, tmp_path):
    model = request.getfixturevalue(name)
    folder = to_transformers(model, tmp_path / "exported", tokenizer=ByteTokenizer())
    heads = {
        "bert": ("AutoModel", "AutoModelForMaskedLM", "AutoModelForPreTraining"),
        "gpt2": ("AutoModel", "AutoModelForCausalLM"),
    }
    tokens = torch.tensor([[5, 7, 11]])
    for kind in heads[name]:
        theirs = getattr(transformers, kind).from_pretrained(folder).eval()
        out = theirs(tokens)
        if kind == "AutoModel":
            expected, found = model.hidden(tokens), out.last_hidden_state
        else:
            expected = model(tokens)
            found = out.logits if "logits" in out else out.prediction_logits
        torch.testing.assert_close(expected, found, rtol=1e-5, atol=1e-5, msg=kind)


def test_gpt2_as_they_open_it_ends_where_ours_ends(gpt2, opened):
    settings = opened(gpt2).generation_config
    own = ByteTokenizer()
    found = (settings.bos_token_id, settings.eos_token_id, settings.pad_token_id)
    assert found == (own.bos_id, own.eos_id, own.pad_id)


# ---- what their own save_pretrained writes ------------------------------------------------------


def bert_of_theirs(transformers, kind, folder, **changes):
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3}
    config = transformers.BertConfig(
        vocab_size=263, intermediate_size=20, max_position_embeddings=17, **sizes | changes
    )
    model = getattr(transformers, kind)(config).eval()
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("kind", ["BertForMaskedLM", "BertForPreTraining"])
def test_a_bert_that_they_saved_is_read(kind, transformers, tmp_path, scrambled):
    theirs = bert_of_theirs(transformers, kind, tmp_path)
    scrambled(theirs).save_pretrained(tmp_path)
    ours = from_transformers(tmp_path)
    assert ours.config.has_next_sentence_head == (kind == "BertForPreTraining")
    tokens = torch.tensor([[5, 7, 11]])
    out = theirs(tokens)
    expected = out.logits if "logits" in out else out.prediction_logits
    torch.testing.assert_close(ours(tokens), expected, rtol=1e-5, atol=1e-5)


def test_a_bare_bert_is_refused_or_given_untrained_heads(transformers, tmp_path):
    theirs = bert_of_theirs(transformers, "BertModel", tmp_path)
    with pytest.raises(CheckpointError, match="save it as BertForMaskedLM or BertForPreTraining"):
        from_transformers(tmp_path)
    ours = from_transformers(tmp_path, fresh_heads=True)
    tokens = torch.tensor([[5, 7, 11]])
    out = theirs(tokens)
    hidden = ours.hidden(tokens)
    torch.testing.assert_close(hidden, out.last_hidden_state, rtol=1e-5, atol=1e-5)
    pooled = ours.pair_head.pooler(hidden[:, 0]).tanh()
    torch.testing.assert_close(pooled, out.pooler_output, rtol=1e-5, atol=1e-5)
    assert ours.masked_head.dense.weight.std() > 0.01  # drawn, not left at zero


def test_a_classifier_of_theirs_is_no_masked_language_model(transformers, tmp_path):
    bert_of_theirs(transformers, "BertForSequenceClassification", tmp_path)
    with pytest.raises(CheckpointError, match=r"unexpected: classifier\.bias, classifier\.weight"):
        from_transformers(tmp_path, fresh_heads=True)


def test_names_of_the_first_release_of_bert_are_read(bert, tmp_path):
    folder = to_transformers(bert, tmp_path / "exported", tokenizer=ByteTokenizer())
    tensors = load_file(folder / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    assert old.keys() != tensors.keys()
    save_file(old, folder / "model.safetensors")
    tokens = torch.tensor([[5, 7, 11]])
    assert torch.equal(from_transformers(folder)(tokens), bert(tokens))


@pytest.mark.parametrize("is_tied", [True, False])
def test_a_bare_gpt2_is_read_where_it_lacks_nothing(is_tied, make_gpt2, opened, tmp_path):
    model = make_gpt2(tie_embeddings=is_tied)
    opened(model).transformer.save_pretrained(tmp_path / "bare")
    if is_tied:
        tokens = torch.tensor([[5, 7, 11]])
        assert torch.equal(from_transformers(tmp_path / "bare")(tokens), model(tokens))
    else:
        with pytest.raises(CheckpointError, match="save it as GPT2LMHeadModel"):
            from_transformers(tmp_path / "bare")


def test_weights_in_several_files_are_read(gpt2, opened, tmp_path):
    opened(gpt2).save_pretrained(tmp_path / "parts", max_shard_size="5KB")
    assert not (tmp_path / "parts" / "model.safetensors").exists()
    tokens = torch.tensor([[5, 7, 11]])
    assert torch.equal(from_transformers(tmp_path / "parts")(tokens), gpt2(tokens))
    next((tmp_path / "parts").glob("model-00002*")).unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        from_transformers(tmp_path / "parts")


# ---- what is refused ----------------------------------------------------------------------------


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
    with pytest.raises(CheckpointError, match="of type 'mamba': minillm reads bert, gpt2"):
        from_transformers(folder)
    with pytest.raises(ConfigError, match="must be a new or empty directory"):
        to_transformers(gpt2, folder, tokenizer=ByteTokenizer())


@pytest.mark.parametrize(
    ("changes", "part"),
    [({"positions": "sinusoidal"}, "positions"), ({"norm": "rms_norm"}, "norm")],
)
def test_a_decoder_that_is_no_gpt2_is_not_written_as_one(changes, part, make_gpt2, tmp_path):
    with pytest.raises(CheckpointError, match=f"only a GPT-2 .* has other parts: {part}"):
        to_transformers(make_gpt2(**changes), tmp_path / "exported", tokenizer=ByteTokenizer())
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"is_decoder": True}, "is a decoder"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type must be 'absolute'"),
        ({"hidden_act": "silu"}, "hidden_act must be one of"),
        ({"tie_word_embeddings": False}, "output matrix of its own"),
        ({"hidden_size": None}, "damaged"),
    ],
)
def test_a_bert_that_computes_otherwise_is_refused(bert, tmp_path, changes, message):
    folder = to_transformers(bert, tmp_path / "exported", tokenizer=ByteTokenizer())
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(CheckpointError, match=message):
        from_transformers(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "is no object"),
        ('{"model": "gpt"}', "names no model_type"),
        ('{"model_type": "gpt2"}', "lacks"),
    ],
)
def test_a_damaged_config_is_refused(gpt2, tmp_path, text, message):
    folder = to_transformers(gpt2, tmp_path / "exported", tokenizer=ByteTokenizer())
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        from_transformers(folder)


# ---- with the library, without it, with an old one ----------------------------------------------


def test_an_export_is_verified_by_their_library(bert, transformers, tmp_path):
    folder = to_transformers(bert, tmp_path / "exported", tokenizer=ByteTokenizer())
    assert verify_export(bert, folder, tokenizer=ByteTokenizer()) < 1e-5
    with torch.no_grad():
        bert.blocks[1].feed_forward.up.bias[0] += 0.5
    assert verify_export(bert, folder, tokenizer=ByteTokenizer()) > 1e-3


@pytest.mark.parametrize(
    ("library", "message"),
    [
        (None, r"not installed: pip install 'minillm\[interop\]'"),
        (types.SimpleNamespace(__version__="4.57.1"), r"installed is 4\.57\.1: pip install"),
    ],
)
def test_a_library_that_is_missing_or_old_is_named_row64(monkeypatch, library, message):
    monkeypatch.setitem(sys.modules, "transformers", library)
    with pytest.raises(ConfigError, match=message):
        require_transformers()


def test_files_are_exchanged_without_the_library_row64(gpt2, tmp_path):
    folder = to_transformers(gpt2, tmp_path / "exported", tokenizer=ByteTokenizer())
    code = """
import sys
sys.modules["transformers"] = None
from minillm.interop import from_transformers, read_tokenizer, to_transformers
model = from_transformers(sys.argv[1])
to_transformers(model, sys.argv[2], tokenizer=read_tokenizer(sys.argv[1]))
"""
    again = tmp_path / "again"
    subprocess.run([sys.executable, "-c", code, folder, again], check=True)
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    assert all((folder / name).read_bytes() == (again / name).read_bytes() for name in names)
