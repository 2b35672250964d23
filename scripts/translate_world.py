"""Train the Transformer of 2017 to translate TinyWorld from English to Chinese, and judge it.

    python scripts/translate_world.py              about 70 CPU seconds on one thread
    python scripts/translate_world.py --family t5 --steps 400

Sentences of 3000 documents; the judged ones are of documents that are held out, and those that also
stand in a training document are left out. Prints a line of numbers as JSON and some translations.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import torch

from minillm.batch import Batch
from minillm.config import EncoderDecoderConfig
from minillm.data import SimilarLengths
from minillm.generation import generate
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.objectives.translation import TranslationFrame, translation_batch
from minillm.optim import make_optimizer, warmup_stable_decay
from minillm.text.world import TextPair, sentence_pairs
from minillm.tokenizers import Tokenizer, train_tokenizer
from minillm.training import train

FAMILIES = {
    "original": EncoderDecoderConfig.original,
    "t5": EncoderDecoderConfig.t5,
    "t5-1.1": EncoderDecoderConfig.t5_1_1,
}
PEAK = {"original": 5e-3, "t5": 1e-2, "t5-1.1": 1e-2}  # the best of two or three tried
BATCH_SIZE, N_WARMUP, CONTEXT_LENGTH = 64, 150, 64


def chrf(
    written: Sequence[str], wanted: Sequence[str], *, n_most: int = 6, beta: float = 2
) -> float:
    """Return the F-score of character n-grams (Popović 2015, chrF), over all texts together."""
    scores = []
    for n in range(1, n_most + 1):
        found = [
            tuple(Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in pair)
            for pair in zip(written, wanted, strict=True)
        ]
        n_common = sum((ours & theirs).total() for ours, theirs in found)
        n_ours, n_theirs = (sum(pair[side].total() for pair in found) for side in (0, 1))
        precision, recall = n_common / max(n_ours, 1), n_common / max(n_theirs, 1)
        bottom = beta**2 * precision + recall
        scores.append((1 + beta**2) * precision * recall / bottom if bottom else 0.0)
    return sum(scores) / n_most


class Translation:
    """The data of the task: pairs, one vocabulary for both languages, batches."""

    def __init__(self, n_documents: int, *, vocab_size: int, seed: int) -> None:
        self.train = list(sentence_pairs(n_documents))
        known = {pair.source for pair in self.train}
        held_out = sentence_pairs(60, split="validation")
        self.unseen = [pair for pair in held_out if pair.source not in known]
        texts = [text for pair in self.train[:6000] for text in pair]
        self.tokenizer = train_tokenizer("bpe", texts, vocab_size)
        self.frame = TranslationFrame(
            start_id=self.tokenizer.bos_id,
            eos_id=self.tokenizer.eos_id,
            pad_id=self.tokenizer.pad_id,
            max_tokens=CONTEXT_LENGTH,
        )
        self._ids = self._encoded(self.train)
        lengths = [len(source) + len(target) for source, target in self._ids]
        self._order = SimilarLengths(lengths, batch_size=BATCH_SIZE, seed=seed)

    def batches(self, n_steps: int) -> Iterator[list[Batch]]:
        """Yield the batches of the steps of a run."""
        for index in range(n_steps):
            pairs = [self._ids[item] for item in self._order.batch_at(index)]
            yield [translation_batch(pairs, frame=self.frame)]

    def judged(self) -> Batch:
        """Return the sentences that the model has not seen, in one batch."""
        return translation_batch(self._encoded(self.unseen), frame=self.frame)

    def _encoded(self, pairs: Sequence[TextPair]) -> list[tuple[list[int], list[int]]]:
        return [(self.tokenizer.encode(a), self.tokenizer.encode(b)) for a, b in pairs]


def judge(model: EncoderDecoder, data: Translation) -> tuple[dict[str, float], list[str]]:
    """Return loss, shares of right tokens and right sentences, chrF, and the translations."""
    model.eval()
    batch = data.judged()
    assert batch.targets is not None
    assert batch.decoder_inputs is not None
    with torch.no_grad():
        logits = model(batch.inputs, batch.decoder_inputs, is_padding=batch.is_padding)
        scored = batch.targets != -100
        accuracy = (logits.argmax(dim=-1) == batch.targets)[scored].double().mean().item()
        loss = -model.log_probs(batch).sum().item() / int(scored.sum())
    texts = translate(model, batch, data.tokenizer)
    wanted = [pair.target for pair in data.unseen]
    exact = sum(a == b for a, b in zip(texts, wanted, strict=True)) / len(wanted)
    numbers = {"loss": loss, "accuracy": accuracy, "exact": exact, "chrf": chrf(texts, wanted)}
    return numbers, texts


def translate(model: EncoderDecoder, batch: Batch, tokenizer: Tokenizer) -> list[str]:
    """Write a target for each source, greedily."""
    rows = generate(
        model.given(batch.inputs, batch.is_padding),
        [[tokenizer.bos_id]] * len(batch.inputs),
        max_new_tokens=CONTEXT_LENGTH - 1,
        temperature=0,
        eos_id=tokenizer.eos_id,
    )
    return [tokenizer.decode(row, skip_special=True) for row in rows]


def main() -> None:
    """Train, judge and show."""
    parser = argparse.ArgumentParser(description="Translate TinyWorld.")
    parser.add_argument("--family", choices=FAMILIES, default="original")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--documents", type=int, default=3000)
    parser.add_argument("--learning-rate", type=float, help="at the peak")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = Translation(args.documents, vocab_size=2000, seed=args.seed)
    config = FAMILIES[args.family](
        vocab_size=data.tokenizer.vocab_size,
        context_length=CONTEXT_LENGTH,
        d_model=64,
        n_layers=2,
        n_heads=4,
    )
    model = EncoderDecoder(config, generator=torch.Generator().manual_seed(args.seed))
    peak = args.learning_rate or PEAK[args.family]
    optimizer = make_optimizer(  # β₂ and ε as in the paper, §5.3
        model, name="adamw", learning_rate=peak, weight_decay=0.0, betas=(0.9, 0.98), eps=1e-9
    )

    def rate(step: int) -> float:
        n_warmup = min(N_WARMUP, args.steps)
        decay = 1 - n_warmup / args.steps
        return peak * warmup_stable_decay(
            step, n_steps=args.steps, n_warmup=n_warmup, decay_fraction=decay
        )

    start = time.process_time()
    losses = [
        result.loss
        for result in train(model, optimizer, data.batches(args.steps), learning_rate=rate)
    ]
    cpu_s = time.process_time() - start
    numbers, texts = judge(model, data)
    about = {"family": args.family, "steps": args.steps, "n_parameters": model.n_parameters()}
    about |= {"n_train": len(data.train), "n_judged": len(data.unseen), "cpu_s": cpu_s}
    print(json.dumps(about | {"first_loss": losses[0]} | numbers))
    for pair, text in list(zip(data.unseen, texts, strict=True))[::60]:
        print(f"{pair.source}\n  {'=' if text == pair.target else '≠'} {text}")


if __name__ == "__main__":
    main()
