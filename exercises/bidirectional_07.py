"""What notebook 07 does with two directions: stories, training, who reads whom, gaps, a probe.

Dimension key: B texts, T positions, C width, L layers, N tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.batch import IGNORE_INDEX, Batch
from minillm.models.base import Model
from minillm.models.bidirectional import Bidirectional
from minillm.models.scalar_mix import ScalarMix
from minillm.optim import make_optimizer, warmup_cosine
from minillm.text.world import END_WORD, TinyWorld, WorldDocument
from minillm.text.world.tags import tag
from minillm.training import train


def pad_texts(texts: Sequence[Sequence[int]], *, pad_id: int = 0) -> Batch:
    """Batch whole texts of unequal length; each token but the first is a target.

    Args:
        texts: token ids, ``bos … eos``.
        pad_id: fills the inputs of short rows, on the right.

    Example:
        >>> batch = pad_texts([[0, 7, 8, 1], [0, 1]], pad_id=9)
        >>> batch.inputs.tolist(), batch.targets.tolist()
        ([[0, 7, 8], [0, 9, 9]], [[7, 8, 1], [1, -100, -100]])
    """
    n_steps = max(map(len, texts)) - 1
    inputs = torch.full((len(texts), n_steps), pad_id)
    targets = torch.full_like(inputs, IGNORE_INDEX)
    is_padding = torch.ones_like(inputs, dtype=torch.bool)
    for row, text in enumerate(texts):
        n = len(text) - 1
        inputs[row, :n], targets[row, :n] = torch.tensor(text[:-1]), torch.tensor(text[1:])
        is_padding[row, :n] = False
    return Batch(inputs=inputs, targets=targets, is_padding=is_padding)


def direction_influences(model: Bidirectional, text: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Measure how strongly the logits that score a token react to each token of the text.

    Args:
        model: any bidirectional language model.
        text: N token ids.

    Returns:
        Forward and backward, (N, N) each: norm of the gradient of the logits that score token t
        (row) for the embedding of token s (column). Nobody scores the first token forward, nor
        the last one backward: those rows are zero.
    """
    kept: list[Tensor] = []
    hook = model.forward_half.token_embedding.register_forward_hook(lambda *c: kept.append(c[2]))
    try:
        forward, backward = model.direction_logits(pad_texts([text]))
    finally:
        hook.remove()
    n_steps = len(text) - 1
    maps = []
    for logits, embedded, is_forward in ((forward, kept[0], True), (backward, kept[1], False)):
        influence = torch.zeros(n_steps + 1, n_steps + 1)
        for place in range(n_steps):
            total = logits[0, place].square().sum()
            norms = torch.autograd.grad(total, embedded, retain_graph=True)[0][0].norm(dim=-1)
            if is_forward:  # it reads tokens 0, 1, … and scores token place + 1
                influence[place + 1, :n_steps] = norms
            else:  # it reads the last token first; at the last place it scores the first token
                token = (place + 1) % n_steps
                influence[token, 1:] = norms.flip(0)
        maps.append(influence)
    return maps[0], maps[1]


class Probe(NamedTuple):
    """What a task gets out of frozen layers."""

    accuracy: float  # on tokens that it was not trained on
    weights: list[float]  # the share of each layer in the mixture


def train_probe(
    layers: Tensor,
    labels: Tensor,
    is_test: Tensor,
    *,
    n_steps: int = 200,
    batch_size: int = 1024,
    seed: int = 0,
) -> Probe:
    """Train a scalar mix and one linear layer on it; the layers themselves stay as they are.

    Args:
        layers: (L, N, C) representations.
        labels: (N,) classes.
        is_test: (N,) bool, tokens that are held out.
        n_steps: updates of Adam.
        batch_size: tokens of an update.
        seed: of the weights and the batches.

    Example:
        >>> layers = torch.stack([torch.zeros(90, 3), torch.eye(3).repeat(30, 1)])
        >>> probe = train_probe(layers, torch.arange(90) % 3, torch.arange(90) >= 45)
        >>> probe.accuracy, probe.weights[1] > 0.5
        (1.0, True)
    """
    generator = torch.Generator().manual_seed(seed)
    mix, head = ScalarMix(len(layers)), nn.Linear(layers.shape[-1], int(labels.max()) + 1)
    nn.init.normal_(head.weight, std=0.02, generator=generator)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.Adam([*mix.parameters(), *head.parameters()], lr=0.03)
    train_ids = (~is_test).nonzero()[:, 0]
    for _ in range(n_steps):
        drawn = torch.randint(len(train_ids), (batch_size,), generator=generator)
        picked = train_ids[drawn]
        loss = F.cross_entropy(head(mix(layers[:, picked])), labels[picked])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        guesses = head(mix(layers[:, is_test])).argmax(-1)
    accuracy = (guesses == labels[is_test]).float().mean().item()
    return Probe(accuracy, mix.weights.tolist())


class Stories(NamedTuple):
    """Documents of TinyWorld as words and as ids: 0 before each, its last word is the eos."""

    vocabulary: list[str]  # id − 1 → word
    train: list[list[int]]
    held: list[list[int]]
    held_documents: list[WorldDocument]

    @property
    def vocab_size(self) -> int:
        """Count the words and the id that opens a story."""
        return len(self.vocabulary) + 1


def tell_stories(n_train: int, n_held: int) -> Stories:
    """Make stories to learn from and, from the validation split, stories to be judged on.

    Example:
        >>> stories = tell_stories(50, 2)
        >>> len(stories.held), stories.held[0][0]
        (2, 0)
    """
    world = TinyWorld(seed=0)
    train = list(world.documents(n_train, split="train"))
    held = list(world.documents(n_held, split="validation"))
    vocabulary = sorted({word for document in (*train, *held) for word in document.words})
    ids = {word: number for number, word in enumerate(vocabulary, start=1)}
    texts = [[[0, *(ids[word] for word in d.words)] for d in some] for some in (train, held)]
    return Stories(vocabulary, texts[0], texts[1], held)


def descend(
    model: Model,
    batches: Iterable[Batch],
    *,
    n_steps: int,
    rate: float,
    n_warmup: int = 40,
    look: Callable[[int], None] | None = None,
) -> list[float]:
    """Train with AdamW, a warmup and a cosine; return the loss of each step.

    Args:
        model: it is changed.
        batches: one for each step.
        n_steps: how many there are.
        rate: the peak of the learning rate.
        n_warmup: steps of the rise; 0 keeps the rate where it is throughout.
        look: called after each step with its number.
    """

    def rate_at(step: int) -> float:
        if not n_warmup:
            return rate
        plan = {"n_steps": n_steps, "n_warmup": n_warmup}
        return rate * warmup_cosine(step, final_fraction=0.02, **plan)

    optimizer = make_optimizer(model, name="adamw", learning_rate=rate, weight_decay=0.01)
    losses = []
    for result in train(model, optimizer, ([batch] for batch in batches), learning_rate=rate_at):
        losses.append(result.loss)
        if look is not None:
            look(result.step)
    return losses


@torch.no_grad()
def text_bits(model: Bidirectional, batches: Iterable[Batch]) -> Tensor:
    """Return what each text costs in each direction, (2, N) bits."""
    sums = [[side.sum(1) for side in model.direction_log_probs(batch)] for batch in batches]
    return -torch.stack([torch.cat(side) for side in zip(*sums, strict=True)]) / math.log(2)


@torch.no_grad()
def sentence_edge_bits(
    model: Bidirectional, batches: Sequence[Batch], stories: Stories
) -> dict[str, tuple[float, float]]:
    """Measure what the first and the last words of sentences cost from the left and the right.

    Returns:
        Mean bits from the left and from the right, under "first word" and "last word".
    """
    stop, end = (stories.vocabulary.index(word) + 1 for word in (".", END_WORD))
    sides = [model.direction_log_probs(batch) for batch in batches]
    found = {}
    for name, offset in (("first word", 1), ("last word", -1)):  # beside the full stop
        are_there = [
            (batch.targets == stop).roll(offset, 1) & (batch.targets > 0) & (batch.targets != end)
            for batch in batches
            if batch.targets is not None
        ]
        means = [
            torch.cat([s[side][there] for s, there in zip(sides, are_there, strict=True)]).mean()
            for side in (0, 1)
        ]
        found[name] = (-means[0].item() / math.log(2), -means[1].item() / math.log(2))
    return found


@torch.no_grad()
def guess_hidden_words(
    model: Bidirectional, stories: Stories, *, n_texts: int, seed: int = 0
) -> dict[str, float]:
    """Hide three words of each story, guess each from the left, the right and from both sides.

    "both" multiplies the two opinions and divides by the word's frequency (see the notebook);
    "best left" and "best both" are the guesses of who knows TinyWorld's exact probabilities.

    Returns:
        By name the share of right guesses.
    """
    generator = torch.Generator().manual_seed(seed)
    exact, vocabulary = TinyWorld(seed=0).exact, stories.vocabulary
    counts = torch.tensor([t for text in stories.train for t in text])
    counts = counts.bincount(minlength=stories.vocab_size) + 1
    log_frequency = (counts / counts.sum()).log()
    right = dict.fromkeys(["left", "right", "both", "best left", "best both"], 0)
    for document, text in zip(stories.held_documents[:n_texts], stories.held, strict=False):
        sides = model.direction_logits(pad_texts([text]))
        ahead, back = (side[0].log_softmax(-1) for side in sides)
        opinions = {"left": ahead, "right": back, "both": ahead + back - log_frequency}
        for place in torch.randint(len(text) - 2, (3,), generator=generator).tolist():
            guesses = {n: vocabulary[int(x[place, 1:].argmax())] for n, x in opinions.items()}
            from_left = exact.next_words(document.words[:place])
            (from_both,) = exact.hidden_words(document.words, [place])
            guesses["best left"] = max(from_left, key=from_left.__getitem__)
            guesses["best both"] = max(from_both, key=from_both.__getitem__)
            for name, guess in guesses.items():
                right[name] += guess == document.words[place]
    return {name: n / (3 * n_texts) for name, n in right.items()}


def label_words(documents: Sequence[WorldDocument]) -> dict[str, Tensor]:
    """Label every word but the eos: how many letters (up to 10), which entity, which sentence.

    Returns:
        By task (N,) class numbers.
    """
    tags = [tagged.tag for document in documents for tagged in tag(document)]
    numbers = {name: number for number, name in enumerate(sorted(set(tags)))}
    words = [word for document in documents for word in document.words[:-1]]
    places = [min(i, 12) for d in documents for i, s in enumerate(d.sentences) for _ in s]
    return {
        "letters": torch.tensor([min(len(word), 10) for word in words]),
        "entity": torch.tensor([numbers[name] for name in tags]),
        "sentence": torch.tensor(places),
    }
