"""Bodies so small that a test takes milliseconds, each with weights that matter."""

import pytest
import torch

from minillm.config import (
    BidirectionalConfig,
    DecoderConfig,
    EncoderConfig,
    EncoderDecoderConfig,
    RecurrentConfig,
)
from minillm.models.bidirectional import Bidirectional
from minillm.models.decoder import Decoder
from minillm.models.encoder import Encoder
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.models.recurrent import Recurrent
from minillm.tokenizers import ByteTokenizer

SIZES = {"d_model": 10, "n_layers": 2, "n_heads": 5, "context_length": 61}


@pytest.fixture(scope="session")
def tokenizer():
    return ByteTokenizer()


@pytest.fixture
def make_body(tokenizer):
    """Make a body of a kind; no parameter is 0 or 1."""

    def call(kind):
        size = {"vocab_size": tokenizer.vocab_size}
        if kind == "encoder":
            body = Encoder(EncoderConfig.bert(**size, **SIZES, has_next_sentence_head=True))
        elif kind == "decoder":
            body = Decoder(DecoderConfig.llama(**size, **SIZES))
        elif kind == "encoder_decoder":
            body = EncoderDecoder(EncoderDecoderConfig.t5_1_1(**size, **SIZES))
        elif kind == "bidirectional":
            body = Bidirectional(BidirectionalConfig.lstm(**size, d_model=10))
        else:
            body = Recurrent(RecurrentConfig.lstm(**size, d_model=10))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in body.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
        return body.eval()

    return call
