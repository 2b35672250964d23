"""Models of ours whose every weight matters, and how Transformers opens them."""

import json

import pytest
import torch

from minillm.batch import Batch
from minillm.config import DecoderConfig, EncoderConfig
from minillm.generation import generate
from minillm.interop import to_transformers
from minillm.models.decoder import Decoder
from minillm.models.encoder import Encoder
from minillm.tokenizers import ByteTokenizer

V, B, T = 263, 3, 11
SIZES = {"vocab_size": V, "context_length": 17, "d_model": 12, "n_layers": 2, "n_heads": 3}


@pytest.fixture(scope="session")
def transformers():
    return pytest.importorskip("transformers", reason="pip install 'minillm[interop]'")


@pytest.fixture(scope="session")
def scrambled():
    """Give every parameter a value that matters, norms and biases too."""

    def scramble(model, std=0.3):
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * std)
        return model.eval()

    return scramble


@pytest.fixture(scope="session")
def write_both():
    """Let both write greedily: theirs all prompts at once, padded on the left; ours each alone."""

    def write(ours, theirs, *, n_new, use_cache):
        prompts = [[5, 7, 11, 13, 3], [19, 2, 23], [29]]
        padded = torch.tensor([[0] * (5 - len(prompt)) + prompt for prompt in prompts])
        is_real = torch.tensor([[0] * (5 - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        out = theirs.generate(
            padded,
            attention_mask=is_real,
            max_new_tokens=n_new,
            do_sample=False,
            use_cache=use_cache,
            eos_token_id=None,
            pad_token_id=0,
        )
        options = {"max_new_tokens": n_new, "temperature": 0, "use_cache": use_cache}
        alone = [generate(ours, [prompt], **options)[0][-n_new:] for prompt in prompts]
        return [row[-n_new:] for row in out.tolist()], alone

    return write


@pytest.fixture
def make_bert(scrambled):
    def make(**changes):
        usual = {**SIZES, "d_ff": 20, "has_next_sentence_head": True}
        return scrambled(Encoder(EncoderConfig.bert(**usual | changes)))

    return make


@pytest.fixture
def make_gpt2(scrambled):
    def make(**changes):
        usual = {**SIZES, "d_ff": 20, "feed_forward": "gelu_tanh"}
        return scrambled(Decoder(DecoderConfig.gpt(**usual | changes)))

    return make


@pytest.fixture
def bert(make_bert):
    return make_bert()


@pytest.fixture
def gpt2(make_gpt2):
    return make_gpt2()


@pytest.fixture
def make_batch():
    """Pairs with padding on the right, some tokens hidden."""

    def make(seed=1):
        generator = torch.Generator().manual_seed(seed)
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

    return make


@pytest.fixture
def batch(make_batch):
    return make_batch()


@pytest.fixture
def opened(transformers, tmp_path):
    """Export a model and open it with the class that its directory names."""

    def open_exported(model, dtype=torch.float32):
        folder = to_transformers(model, tmp_path / "exported", tokenizer=ByteTokenizer())
        config = json.loads((folder / "config.json").read_text("utf-8"))
        theirs = getattr(transformers, config["architectures"][0])
        return theirs.from_pretrained(folder, dtype=dtype).eval()

    return open_exported
