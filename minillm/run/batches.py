"""The batches of each objective: a pure function of a run's data, its settings and a number."""

from __future__ import annotations

from collections.abc import Callable

from minillm.batch import Batch
from minillm.config import PretrainConfig
from minillm.data import PackedWindows, PreparedData, SentenceDocuments, ShuffledDocuments
from minillm.errors import DataError
from minillm.objectives.masked import Masker
from minillm.objectives.sentence_pairs import PairFrame
from minillm.objectives.sentence_reconstruction import sentence_reconstruction_batch
from minillm.objectives.span_corruption import SpanCorruption, span_corruption_batch
from minillm.runtime import derive_generator
from minillm.tokenizers import Tokenizer, sentinel_ids

BatchAt = Callable[[int], Batch]  # micro-batch number, from 0 → the batch
MakePairs = Callable[..., Batch]  # documents as sentences, a generator, frame= → the batch


def window_batches(
    make_batch: Callable[..., Batch], data: PreparedData, config: PretrainConfig
) -> BatchAt:
    """Packed windows; a window that crosses documents reads on, as GPT-2's did."""
    windows = _windows(data, config)
    bos_id = data.tokenizer.bos_id

    def batch_at(index: int) -> Batch:
        generator = derive_generator(config.seed, config.objective, index)
        return make_batch(windows.batch_at(index), generator, bos_id=bos_id)

    return batch_at


def masked_batches(data: PreparedData, config: PretrainConfig) -> BatchAt:
    """Packed windows of which some tokens are hidden, other ones each time a text is read."""
    windows = _windows(data, config)
    masker = make_masker(data.tokenizer, config)

    def batch_at(index: int) -> Batch:
        token_ids = windows.batch_at(index)[:, :-1]  # the last one is the next window's first
        return masker(token_ids, derive_generator(config.seed, "masks", index))

    return batch_at


def span_batches(data: PreparedData, config: PretrainConfig) -> BatchAt:
    """Packed windows with spans cut out, as long as inputs and targets then fit the context."""
    corruption = make_corruption(
        data.tokenizer,
        noise_density=config.noise_density,
        mean_span_length=config.mean_span_length,
    )
    n_tokens = corruption.longest_text(config.context_length)
    windows = _windows(data, config, n_tokens=n_tokens)

    def batch_at(index: int) -> Batch:
        generator = derive_generator(config.seed, "spans", index)
        return span_corruption_batch(windows.batch_at(index), generator, corruption=corruption)

    return batch_at


def pair_batches(make_pairs: MakePairs, data: PreparedData, config: PretrainConfig) -> BatchAt:
    """Pairs of sentences, one of each document, some of whose tokens are hidden as well."""
    documents = _sentences(data, at_least=1 + (config.objective == "masked+next-sentence"))
    shuffled = ShuffledDocuments(documents, batch_size=config.batch_size, seed=config.seed)
    frame = make_frame(data.tokenizer, config.context_length)
    masker = make_masker(data.tokenizer, config)

    def batch_at(index: int) -> Batch:
        generator = derive_generator(config.seed, "pairs", index)
        pairs = make_pairs(shuffled.batch_at(index), generator, frame=frame)
        return masker.also(pairs, generator)

    return batch_at


def reconstruction_batches(data: PreparedData, config: PretrainConfig) -> BatchAt:
    """Shuffled sentences, some neighboring ones of each document."""
    shuffled = ShuffledDocuments(
        _sentences(data, at_least=1), batch_size=config.batch_size, seed=config.seed
    )
    frame = make_frame(data.tokenizer, config.context_length)

    def batch_at(index: int) -> Batch:
        return sentence_reconstruction_batch(
            shuffled.batch_at(index),
            derive_generator(config.seed, "shuffled sentences", index),
            frame=frame,
            n_sentences=config.n_sentences,
        )

    batch_at(0)  # refuses sentences that do not fit before anything is trained
    return batch_at


def make_masker(tokenizer: Tokenizer, config: PretrainConfig) -> Masker:
    """Return what hides tokens in a run."""
    return Masker(tokenizer, unit=config.masking, rate=config.mask_rate)


def make_corruption(
    tokenizer: Tokenizer, *, noise_density: float = 0.15, mean_span_length: float = 3.0
) -> SpanCorruption:
    """Return T5's objective with the ids of a tokenizer that has sentinels."""
    return SpanCorruption(
        sentinel_ids=sentinel_ids(tokenizer),
        eos_id=tokenizer.eos_id,
        pad_id=tokenizer.pad_id,
        noise_density=noise_density,
        mean_span_length=mean_span_length,
    )


def make_frame(tokenizer: Tokenizer, context_length: int) -> PairFrame:
    """Return how sentences become one sequence; bos and eos serve as BERT's [CLS] and [SEP]."""
    return PairFrame(
        cls_id=tokenizer.bos_id,
        sep_id=tokenizer.eos_id,
        pad_id=tokenizer.pad_id,
        max_tokens=context_length,
    )


def _windows(
    data: PreparedData, config: PretrainConfig, *, n_tokens: int | None = None
) -> PackedWindows:
    """Cut the training text into windows of ``n_tokens``; by default one more than the context."""
    return PackedWindows(
        data.train,
        context_length=config.context_length if n_tokens is None else n_tokens - 1,
        batch_size=config.batch_size,
        seed=config.seed,
    )


def _sentences(data: PreparedData, *, at_least: int) -> SentenceDocuments:
    """Return the training documents as sentences; refuse what no pair can be made of."""
    documents = data.sentences("train")
    if len(documents) < at_least:
        raise DataError(
            f"this objective needs at least {at_least} training documents of two sentences or "
            f"more, got {len(documents)} (and {documents.n_left_out} of one sentence): give more "
            "text, or use --objective masked, which needs no sentences"
        )
    return documents
