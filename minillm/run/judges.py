"""How a model of each objective is judged on held-out documents, and the best that is possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from minillm.batch import Batch
from minillm.data import PreparedData, SentenceDocuments, encode_with_sentences
from minillm.evaluation import (
    Evaluation,
    HiddenWordScores,
    OrderScores,
    PairScores,
    Scores,
    SpanScores,
    evaluate_documents,
    evaluate_hidden_words,
    evaluate_orders,
    evaluate_pairs,
    evaluate_spans,
)
from minillm.evaluation.sentences import PairTask
from minillm.models.base import LanguageModel
from minillm.models.encoder import Encoder
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.objectives.masked import Masker
from minillm.run.batches import make_corruption, make_frame
from minillm.tokenizers import Tokenizer

N_STRANGERS = 50  # training documents that lend sentences where only one is held out
EVALUATION_RATE = 0.15  # of the words that are hidden, whatever the training hid


def logged(scores: Scores) -> dict[str, float]:
    """Return what a line of the log says of a validation: means, not sums and counts."""
    numbers = scores.numbers().items()
    kept = {
        key: x for key, x in numbers if key[:2] != "n_" and key not in ("loss_sum", "perplexity")
    }
    return {f"validation_{key}": x for key, x in kept.items()}


@dataclass(frozen=True)
class HeldOut:
    """Documents that a model is judged by."""

    tokenizer: Tokenizer
    documents: Sequence[np.ndarray]  # token ids, each bos … eos
    n_bytes: int  # of their text
    sentences: Sequence[list[np.ndarray]] = ()  # of documents of two or more, where they are read
    n_judged: int | None = None  # of ``sentences``: the others only give foreign sentences

    @classmethod
    def of_run(
        cls, data: PreparedData, *, with_sentences: bool, max_tokens: int | None = None
    ) -> HeldOut:
        """Return the validation documents of a run, or the first ones of them."""
        documents = data.documents("validation", max_tokens=max_tokens)
        held_out = cls(data.tokenizer, documents, data.n_bytes(documents))
        if not with_sentences:
            return held_out
        every = data.sentences("validation")
        sentences = every[: max(int((every.numbers < len(documents)).sum()), 1)]
        if len(sentences) > 1:
            return replace(held_out, sentences=sentences)
        strangers = data.sentences("train")[:N_STRANGERS]
        return replace(held_out, sentences=[*sentences, *strangers], n_judged=len(sentences))

    @classmethod
    def of_texts(
        cls, texts: Sequence[str], tokenizer: Tokenizer, *, with_sentences: bool
    ) -> HeldOut:
        """Encode texts; a sentence objective gets them sentence by sentence."""
        n_bytes = sum(len(text.encode()) for text in texts)
        if not with_sentences:
            documents = [np.array(tokenizer.encode_document(text)) for text in texts]
            return cls(tokenizer, documents, n_bytes)
        documents, starts, n_before = [], [], 0
        for _, ids, own_starts in encode_with_sentences(tokenizer, texts):
            documents.append(np.array(ids))
            starts += [n_before + start for start in own_starts]
            n_before += len(ids)
        sentences = SentenceDocuments(
            np.concatenate(documents), np.array(starts, dtype=np.int64), bos_id=tokenizer.bos_id
        )
        return cls(tokenizer, documents, n_bytes, sentences[:])

    @cached_property
    def masker(self) -> Masker:
        """Hides whole words, always by [MASK]: what a floor is known for."""
        return Masker(
            self.tokenizer, unit="words", rate=EVALUATION_RATE, mask_share=1.0, random_share=0.0
        )


Judge = Callable[..., Scores]  # model, HeldOut, show_bars=


def judge_by_code_length(
    model: LanguageModel, held_out: HeldOut, *, show_bars: bool = False
) -> Evaluation:
    """Charge each token by its probability."""
    return evaluate_documents(
        model, held_out.documents, n_bytes=held_out.n_bytes, progress=_bar(show_bars)
    )


def judge_by_hidden_words(
    model: Encoder, held_out: HeldOut, *, show_bars: bool = False
) -> HiddenWordScores:
    """Hide whole words by [MASK]."""
    return evaluate_hidden_words(
        model,
        held_out.documents,
        masker=held_out.masker,
        n_bytes=held_out.n_bytes,
        progress=_bar(show_bars),
    )


def judge_by_spans(
    model: EncoderDecoder, held_out: HeldOut, *, show_bars: bool = False
) -> SpanScores:
    """Cut spans out, T5's share and length whatever the training cut."""
    return evaluate_spans(
        model,
        held_out.documents,
        corruption=make_corruption(held_out.tokenizer),
        n_bytes=held_out.n_bytes,
        progress=_bar(show_bars),
    )


def judge_by_pairs(
    task: PairTask, model: Encoder, held_out: HeldOut, *, show_bars: bool = False
) -> PairScores:
    """Ask what is true of two sentences."""
    return evaluate_pairs(
        model,
        held_out.sentences,
        task,
        frame=make_frame(held_out.tokenizer, model.context_length),
        masker=held_out.masker,
        n_bytes=held_out.n_bytes,
        n_judged=held_out.n_judged,
        progress=_bar(show_bars),
    )


def judge_by_orders(model: Encoder, held_out: HeldOut, *, show_bars: bool = False) -> OrderScores:
    """Let the model put shuffled sentences in order."""
    return evaluate_orders(
        model,
        held_out.sentences[: held_out.n_judged],
        frame=make_frame(held_out.tokenizer, model.context_length),
        n_sentences=model.config.max_sentences,
        n_bytes=held_out.n_bytes,
        progress=_bar(show_bars),
    )


def _bar(show: bool) -> Callable[[Sequence[Batch]], Any]:
    return partial(tqdm, desc="evaluate", unit=" batches", disable=not show, leave=False)
