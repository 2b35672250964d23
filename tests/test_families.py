"""docs/families.md says what the configurations make."""

import doctest
import re
from pathlib import Path

import pytest
import torch

from minillm import config
from minillm.config import DecoderConfig, EncoderConfig, EncoderDecoderConfig
from minillm.feed_forward import GEGLU, FeedForward, SwiGLU
from minillm.models.decoder import Decoder
from minillm.models.encoder import Encoder
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.norms import LayerNorm, RMSNorm
from minillm.positions import LearnedPositions, SinusoidalPositions

PAGE = Path(__file__).parents[1] / "docs" / "families.md"
V, C, H, T = 31, 12, 3, 5
MODELS = {EncoderConfig: Encoder, DecoderConfig: Decoder, EncoderDecoderConfig: EncoderDecoder}


def table():
    """Map ``EncoderConfig.bert`` to the cells of its line under the names of their columns."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")]
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    return {
        re.findall(r"`(.+)`", row[0])[0]: dict(zip(head, row, strict=True))
        for row in rows
    }  # fmt: skip


TABLE = table()


def build(name):
    class_name, family = name.split(".")
    configuration = getattr(getattr(config, class_name), family)(
        vocab_size=V, d_model=C, n_heads=H, n_layers=2, context_length=T
    )
    model = MODELS[type(configuration)](configuration, generator=torch.Generator().manual_seed(0))
    return model.eval()


def first_block(model):
    return (model.decoder if isinstance(model, EncoderDecoder) else model).blocks[0]


def place_of_norm(model):
    """A block whose branches give nothing is the identity if the norms stand before them."""
    block = first_block(model)
    for branch in ("attention", "cross_attention", "feed_forward"):
        if hasattr(block, branch):
            for parameter in getattr(block, branch).parameters():
                parameter.data.zero_()
    x = torch.randn(1, T, C, generator=torch.Generator().manual_seed(1))
    out = block(x, source=x) if isinstance(model, EncoderDecoder) else block(x)
    return "before the branch" if torch.equal(out, x) else "after the sum"


def positions(model):
    if isinstance(model, EncoderDecoder) and model.decoder.relative_bias is not None:
        return "relative"
    kinds = {LearnedPositions: "learned", SinusoidalPositions: "sinusoidal", type(None): "rotary"}
    return kinds[type(model.position_embedding)]


def reading(weights):
    """Say from the weights (…, T, T) whether the future is read."""
    return "both ways" if (weights.triu(1).sum() > 0) else "its past"


def reads(model):
    tokens = torch.arange(T)[None]
    if not isinstance(model, EncoderDecoder):
        return reading(model.attention_weights(tokens))
    weights = model.attention_weights(tokens, tokens)
    assert (weights.cross > 0).all()
    return f"source {reading(weights.encoder)}, target {reading(weights.decoder)}"


def scale(model):
    """Compare the weights of the first block with the softmax of its unscaled scores."""
    layer = first_block(model).attention
    x = torch.randn(1, T, C, generator=torch.Generator().manual_seed(1))

    def scores(x):
        parts = (
            part(x).unflatten(-1, (H, -1)).transpose(1, 2) for part in (layer.query, layer.key)
        )
        query, key = parts
        return query @ key.transpose(-1, -2)

    x = x * (3 / scores(x).std()).sqrt()  # neither flat nor saturated
    seen = layer.weights(x)
    scales = {"1": 1.0, "1/√D": (C / H) ** -0.5}
    return [
        name
        for name, factor in scales.items()
        if torch.allclose(seen, (scores(x) * factor).softmax(-1))
    ]


def feed_forward(model):
    layer = first_block(model).feed_forward
    if type(layer) is FeedForward:
        return {"relu": "ReLU", "gelu": "GELU"}[layer.activation]
    return {SwiGLU: "SwiGLU", GEGLU: "GEGLU"}[type(layer)]


def output_matrix(model):
    matrices = [p for p in model.parameters() if p.shape == (V, C)]  # a tied one comes once
    scaled = getattr(model, "output_scale", 1.0)
    assert scaled in (1.0, C**-0.5)
    return ("tied" if len(matrices) == 1 else "its own") + (", times 1/√C" if scaled < 1 else "")


@pytest.mark.parametrize("name", TABLE)
def test_a_line_says_what_its_configuration_makes(name):
    model, line = build(name), TABLE[name]
    norm = {LayerNorm: "LayerNorm", RMSNorm: "RMSNorm"}[type(first_block(model).attention_norm)]
    linear_biases = {n for n, _ in model.named_parameters() if n.endswith("query.bias")}
    measured = {
        "norm": norm,
        "positions": positions(model),
        "reads": reads(model),
        "feed-forward": feed_forward(model),
        "biases": "yes" if linear_biases else "no",
        "output matrix": output_matrix(model),
    }
    assert {column: line[column] for column in measured} == measured
    assert scale(model) == [line["scores times"]]
    assert place_of_norm(model) == line["its place"]


@pytest.mark.parametrize("name", TABLE)
def test_a_line_links_to_its_configuration_and_to_what_it_names(name):
    class_name = name.split(".")[0]
    links = re.findall(r"\]\(\.\./(minillm/[a-z_0-9/]+\.py)\)", " ".join(TABLE[name].values()))
    texts = [(PAGE.parents[1] / link).read_text("utf-8") for link in links]
    assert f"class {class_name}:" in texts[0]
    assert f"def {name.split('.')[1]}(" in texts[0]
    kinds = [link.split("/")[1] for link in links]
    assert kinds[0] == "config"
    assert kinds[-1] == "tokenizers"
    assert set(kinds[1:-1]) == {"objectives"}


def test_the_table_holds_all_families():
    """BERT with the head of another objective is the same family."""
    families = {
        f"{kind.__name__}.{name}"
        for kind in MODELS
        for name in vars(kind)
        if isinstance(vars(kind)[name], classmethod) and not name.startswith("bert_")
    }
    assert set(TABLE) == families


def test_the_switches_make_one_family_of_another():
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert (failed, tried) == (0, 4)
