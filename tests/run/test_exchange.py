"""``minillm export`` and ``minillm import``: there, back again, and what is refused."""

import json
import sys
from pathlib import Path

import pytest
import torch

from minillm.cli import main
from minillm.config import FAMILIES, DecoderConfig, EncoderConfig
from minillm.interop import to_transformers
from minillm.models.decoder import Decoder
from minillm.models.encoder import Encoder
from minillm.run import exchange, load_model
from minillm.tokenizers import ByteTokenizer, train_tokenizer

SIZES = {"context_length": 13, "d_model": 6, "n_layers": 1, "n_heads": 3}


def told(capsys, *arguments):
    """Run a command with --json; return what it says."""
    assert main([*map(str, arguments), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def refused(capsys, *arguments):
    """Run a command that must fail as a user's mistake; return its one line."""
    assert main([*map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.fixture
def gpt(run):
    result, _ = run(steps=2, warmup_steps=1)
    return result.out


@pytest.mark.parametrize(
    ("model", "d_ff", "architecture"),
    [("gpt", 24, "GPT2LMHeadModel"), ("llama", 16, "LlamaForCausalLM")],
)
def test_a_run_goes_there_and_comes_back_the_same(
    model, d_ff, architecture, run, corpus, tmp_path, capsys
):
    run_folder = run(model=model, steps=2, warmup_steps=1)[0].out
    facts = told(capsys, "export", "--checkpoint", run_folder, "--out", tmp_path / "theirs")
    assert facts["architecture"] == architecture
    back = told(capsys, "import", tmp_path / "theirs", "--out", tmp_path / "back")
    before, after = load_model(run_folder), load_model(tmp_path / "back")
    assert (back["objective"], back["model"]) == ("causal", model)
    assert back["n_parameters"] == facts["n_parameters"] == before.model.n_parameters()
    written_out = {"d_ff": d_ff, "n_kv_heads": after.model.config.n_kv_heads}  # the run left both
    expected = before.description["architecture"] | written_out  # open
    assert after.description["architecture"] == expected
    assert after.model.config.kv_heads == before.model.config.kv_heads
    for name, parameter in before.model.named_parameters():
        assert torch.equal(parameter, after.model.get_parameter(name))
    for command in (
        ("evaluate", "--corpus", corpus),
        ("generate", "--prompt", "the cat", "--temperature", "0", "--max-new-tokens", "5"),
    ):
        name, *options = command
        answers = [
            told(capsys, name, "--checkpoint", folder, *options)
            for folder in (run_folder, tmp_path / "back")
        ]
        assert answers[0] == answers[1], name
    assert "name the text with --corpus" in refused(
        capsys, "evaluate", "--checkpoint", tmp_path / "back"
    )


def test_what_was_done_is_said(gpt, tmp_path, capsys):
    assert main(["export", "--checkpoint", str(gpt), "--out", str(tmp_path / "theirs")]) == 0
    captured = capsys.readouterr()
    assert "architecture: GPT2LMHeadModel\n" in captured.out
    assert captured.err == ""


def test_an_import_lies_in_runs_under_the_name_of_its_source(tmp_path, monkeypatch, capsys):
    model = Decoder(DecoderConfig.gpt(vocab_size=260, **SIZES, feed_forward="gelu_tanh"))
    to_transformers(model, tmp_path / "small", tokenizer=ByteTokenizer())
    monkeypatch.chdir(tmp_path)
    assert told(capsys, "import", "small")["out"] == str(Path("runs/small"))
    assert load_model("runs/small").description["imported_from"] == "small"


def test_weights_in_bfloat16_become_float32(tmp_path, capsys):
    model = Decoder(DecoderConfig.gpt(vocab_size=260, **SIZES)).bfloat16()
    to_transformers(model, tmp_path / "half", tokenizer=ByteTokenizer())
    told(capsys, "import", tmp_path / "half", "--out", tmp_path / "back")
    back = load_model(tmp_path / "back").model.token_embedding.weight
    assert back.dtype == torch.float32
    assert torch.equal(back, model.token_embedding.weight.float())


@pytest.mark.skipif("masked" not in FAMILIES, reason="no command trains an encoder yet")
@pytest.mark.parametrize("has_pair_head", [False, True])
def test_a_bert_goes_there_and_comes_back_the_same(has_pair_head, tmp_path, capsys):
    tokenizer = train_tokenizer("wordpiece", ["the cat sees the house"] * 9, 24)
    config = EncoderConfig.bert(
        vocab_size=tokenizer.vocab_size, **SIZES, has_next_sentence_head=has_pair_head
    )
    to_transformers(Encoder(config), tmp_path / "bert", tokenizer=tokenizer)
    told(capsys, "import", tmp_path / "bert", "--out", tmp_path / "back")
    told(capsys, "export", "--checkpoint", tmp_path / "back", "--out", tmp_path / "again")
    for path in (tmp_path / "bert").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


# ---- what is refused ----------------------------------------------------------------------------


def test_a_directory_that_holds_something_is_not_written_into(gpt, tmp_path, capsys):
    for command in (
        ("export", "--checkpoint", gpt, "--out", gpt),
        ("import", tmp_path / "anything", "--out", gpt),
    ):
        assert "must be a new or empty directory" in refused(capsys, *command)


def test_what_is_not_there_is_named(tmp_path, capsys):
    out = ("--out", tmp_path / "out")
    message = refused(capsys, "export", "--checkpoint", tmp_path / "none", *out)
    assert "there is no such folder" in message
    message = refused(capsys, "import", tmp_path / "bert-base-uncased", *out)
    assert "nothing is downloaded" in message
    assert not (tmp_path / "out").exists()


def test_a_model_that_transformers_lacks_is_not_exported(run, tmp_path, capsys):
    result, _ = run(model="lstm", n_heads=4, steps=1, warmup_steps=1)
    out = tmp_path / "theirs"
    assert "Transformers has no Recurrent" in refused(
        capsys, "export", "--checkpoint", result.out, "--out", out
    )
    assert not out.exists()


def test_a_tokenizer_of_another_size_is_refused(tmp_path, capsys):
    model = Decoder(DecoderConfig.gpt(vocab_size=263, **SIZES))
    to_transformers(model, tmp_path / "theirs", tokenizer=ByteTokenizer())
    message = refused(capsys, "import", tmp_path / "theirs", "--out", tmp_path / "back")
    assert "the tokenizer has 260 ids, the model 263" in message
    assert not (tmp_path / "back").exists()


def test_a_model_without_a_command_is_sent_to_python(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(exchange, "FAMILIES", {})
    model = Decoder(DecoderConfig.gpt(vocab_size=260, **SIZES))
    to_transformers(model, tmp_path / "theirs", tokenizer=ByteTokenizer())
    message = refused(capsys, "import", tmp_path / "theirs", "--out", tmp_path / "back")
    assert "no command of minillm runs a DecoderConfig" in message


# ---- verified by Transformers -------------------------------------------------------------------


def test_verify_asks_transformers(gpt, tmp_path, capsys, monkeypatch):
    pytest.importorskip("transformers", reason="pip install 'minillm[interop]'")
    command = ("export", "--checkpoint", gpt, "--verify", "--out")
    assert told(capsys, *command, tmp_path / "right")["largest_difference"] < 1e-5
    monkeypatch.setattr(exchange, "verify_export", lambda *arguments, **options: 0.5)
    assert "logits differ by 0.5 of the largest" in refused(capsys, *command, tmp_path / "wrong")


def test_verify_without_transformers_says_what_to_install(gpt, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    command = ("export", "--checkpoint", gpt, "--out", tmp_path / "theirs")
    assert "pip install 'minillm[interop]'" in refused(capsys, *command, "--verify")
