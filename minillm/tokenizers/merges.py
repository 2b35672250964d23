"""Tokenizers whose tokens are bytes and what merges make of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from minillm.errors import ConfigError
from minillm.tokenizers.base import DEFAULT_SPECIAL_TOKENS, Tokenizer, check_special_tokens
from minillm.tokenizers.tokenizer_json import BYTE_SPELLINGS, N_BYTES, merges_to_json, spell


class MergeTokenizer(Tokenizer):
    """Text to token ids and back, exactly: ``decode(encode(text)) == text``.

    Ids 0..255 are the bytes, so no text is unknown (Radford et al. 2019, section 2.2); then
    come the special tokens, then one id for each merge.
    """

    def __init__(
        self,
        merges: Iterable[tuple[int, int]] = (),
        *,
        special_tokens: Sequence[str] = DEFAULT_SPECIAL_TOKENS,
    ) -> None:
        """Build the table of each id's bytes.

        Args:
            merges: pairs of ids, the most urgent first.
            special_tokens: strings of ids 256, 257, …; the default four are among them.

        Raises:
            ConfigError: special tokens that are missing, doubled or too short; a merge of an id
                that does not exist yet, or into a token that does.
        """
        check_special_tokens(special_tokens)
        merges = list(merges)
        token_bytes = _token_bytes(merges, tuple(special_tokens))
        super().__init__(token_bytes, {t: N_BYTES + i for i, t in enumerate(special_tokens)})
        self.merges = merges

    def to_json(self) -> str:
        """Write the tokenizer in the ``tokenizers`` library's format, always the same bytes."""
        return merges_to_json(self._token_bytes, list(self.special_tokens), self.merges)


def _token_bytes(merges: list[tuple[int, int]], special_tokens: tuple[str, ...]) -> list[bytes]:
    """List what each id stands for, in an order that makes every merge possible."""
    table = [bytes([byte]) for byte in range(N_BYTES)]
    table += [token.encode() for token in special_tokens]
    specials, spelled = range(N_BYTES, len(table)), {*BYTE_SPELLINGS, *special_tokens}
    for rank, (left, right) in enumerate(merges):
        for part in (left, right):
            if not 0 <= part < len(table) or part in specials:
                raise ConfigError(f"merge {rank} joins {left} and {right}: {part} is no token yet")
        table.append(table[left] + table[right])
        if (spelling := spell(table[-1])) in spelled:  # tokenizer.json could not tell them apart
            raise ConfigError(f"merge {rank} would put {spelling!r} twice into the vocabulary")
        spelled.add(spelling)
    return table
