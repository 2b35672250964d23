"""The file is as long as the loss says, and can be read again."""

import math

import pytest
import torch

from minillm.batch import Batch
from minillm.compression import compress, decompress
from minillm.config import DecoderConfig
from minillm.errors import DataError
from minillm.models.decoder import Decoder

V, BOS, EOS = 13, 11, 12


@pytest.fixture(scope="module")
def decoder():
    config = DecoderConfig.llama(vocab_size=V, context_length=41, d_model=12, n_layers=1, n_heads=2)
    model = Decoder(config, generator=torch.Generator().manual_seed(3))
    for parameter in model.parameters():
        parameter.data.mul_(4)  # far from uniform
    return model


@pytest.mark.parametrize("length", [0, 1, 2, 7, 39])
def test_what_was_written_is_read_again_at_the_length_of_the_loss(decoder, length):
    generator = torch.Generator().manual_seed(length)
    document = [BOS, *torch.randint(BOS, (length,), generator=generator).tolist(), EOS]
    number, n_bits = compress(decoder, document)
    assert 0 <= number < 2**n_bits
    assert decompress(decoder, number, n_bits, bos_id=BOS, eos_id=EOS) == document
    batch = Batch(inputs=torch.tensor([document[:-1]]), targets=torch.tensor([document[1:]]))
    bits = -decoder.log_probs(batch).sum().item() / math.log(2)
    assert bits - 0.1 <= n_bits < bits + 2.1


def test_a_file_without_an_end_is_refused(decoder):
    """As a damaged file would be, or another model's."""
    number, n_bits = compress(decoder, [BOS, *[3, 5, 7] * 9, EOS])
    with pytest.raises(DataError, match="another model wrote this file"):
        decompress(decoder, number, n_bits, bos_id=BOS, eos_id=V)


def test_a_number_on_the_border_of_two_shares_belongs_to_the_second():
    """Equal shares of 1/16: the interval begins exactly at the file's number."""
    config = DecoderConfig.llama(vocab_size=16, context_length=7, d_model=4, n_layers=1, n_heads=1)
    uniform = Decoder(config)
    torch.nn.init.zeros_(uniform.unembedding.weight)
    document = [BOS, 5, 9, EOS]
    number, n_bits = compress(uniform, document)
    assert number == 0x59C << (n_bits - 12)
    assert decompress(uniform, number, n_bits, bos_id=BOS, eos_id=EOS) == document
