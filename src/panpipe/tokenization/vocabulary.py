"""Ids to text and tokens, the vocabulary, and where special tokens go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tokenizers import AddedToken
from tokenizers import Tokenizer as RustTokenizer

from ..errors import InvalidArgument, TokenizerError
from . import decoding
from .assembly import Parts
from .guard import load
from .special_tokens import SpecialTokens
from .views import Views

__all__ = ["Vocabulary"]


class Vocabulary(SpecialTokens, ABC):
    """Mixin: what a Tokenizer knows of single tokens and ids."""

    _views: Views
    _parts: Parts
    model_max_length: int
    clean_up_tokenization_spaces: bool
    pad_token_type_id = 0

    # -- decoding ----------------------------------------------------------------------------------------------------

    def decode(
        self, token_ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> str:
        """The text of one sequence of ids (an int, list, array or tensor)."""
        text = self._decode(decoding.id_list(token_ids), skip_special_tokens)
        return decoding.clean_up(text) if self.cleans_up(clean_up_tokenization_spaces) else text

    def batch_decode(
        self, sequences: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> list[str]:
        """The text of each of several sequences of ids."""
        return [self.decode(ids, skip_special_tokens, clean_up_tokenization_spaces) for ids in sequences]

    def _decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        """The text of ids, not cleaned up."""
        return self.decoder_of(skip_special_tokens)[0](ids)

    def decoder_of(self, skip_special_tokens: bool) -> tuple[Callable[[list[int]], str], Callable[[int], bool]]:
        """For a stream: the text of ids, not cleaned up; and whether an id is passed over in it."""
        pieces = self._parts.pieces
        if pieces is None:
            special = {index for index, token in self._rust.get_added_tokens_decoder().items() if token.special}
            skipped = special if skip_special_tokens else set()
            return (
                lambda ids: decoding.decode(self._rust, ids, skip_special_tokens),
                lambda index: index in skipped or self._rust.id_to_token(index) is None,
            )
        roles = {token: self._id_or_unknown(token) for token in self.all_special_tokens}
        apart = self._apart(roles)
        silent = set(roles.values()) if skip_special_tokens else set()
        added = self._added_contents()

        def decode(ids: list[int]) -> str:
            decoding.check(ids)
            return pieces.decode(pieces.tokens(ids, added), roles, apart, skip_special_tokens)

        return decode, silent.__contains__

    @property
    def has_pieces(self) -> bool:
        """Whether pieces and ids come from different files, as Marian's do."""
        return self._parts.pieces is not None

    @property
    def backend_tokenizer_of_ids(self) -> RustTokenizer:
        """The Rust tokenizer that knows ids and tokens; not to be changed."""
        return self._rust if self._parts.pieces is None else self._parts.pieces.names

    def _apart(self, special: Mapping[str, int | None]) -> frozenset[str]:
        """The tokens that stand by themselves in a decoded text, where pieces and ids come from different files."""
        later = {token for token in self.additional_special_tokens if (special[token] or 0) >= self.vocab_size}
        return frozenset(self.added_tokens_encoder.keys() - special.keys() | later)

    def cleans_up(self, asked: bool | None) -> bool:
        """Whether decoding takes out spaces, if `asked` does not say."""
        return self.clean_up_tokenization_spaces if asked is None else asked

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text that tokens stand for."""
        if self._parts.pieces is not None:
            return self._parts.pieces.string(tokens, self.all_special_tokens)
        decoder = self._rust.decoder
        return " ".join(tokens) if decoder is None else str(load("the decoder", decoder.decode, tokens))

    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> Any:
        """A token's id (the unknown token's for one that is none), or a list of them."""
        if isinstance(tokens, str):
            return self._id_or_unknown(tokens)
        return [self._id_or_unknown(token) for token in tokens]

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """An id's token (None for one that is none), or a list of them."""
        if hasattr(ids, "__index__") and not hasattr(ids, "__len__"):
            return self._tokens_of(decoding.id_list(ids))[0]
        skipped = set(self.all_special_ids) if skip_special_tokens else ()
        return self._tokens_of([index for index in decoding.id_list(ids) if index not in skipped])

    def _tokens_of(self, ids: list[int]) -> list[Any]:
        pieces = self._parts.pieces
        if pieces is None:
            return list(map(self._rust.id_to_token, ids))
        return list(pieces.tokens(ids, self._added_contents()))

    def _added_contents(self) -> dict[int, str]:
        return {index: str(token) for index, token in self.added_tokens_decoder.items()}

    @staticmethod
    def clean_up_tokenization(out_string: str) -> str:
        """Take out the spaces before English punctuation and contractions."""
        return decoding.clean_up(out_string)

    # -- the vocabulary ----------------------------------------------------------------------------------------------

    @property
    def vocab_size(self) -> int:
        """Without the added tokens."""
        pieces = self._parts.pieces
        return self._rust.get_vocab_size(with_added_tokens=False) if pieces is None else pieces.vocab_size

    def __len__(self) -> int:
        """With the added tokens."""
        return self._rust.get_vocab_size(with_added_tokens=True)

    def __bool__(self) -> bool:
        """A tokenizer is never 'empty'."""
        return True

    def get_vocab(self) -> dict[str, int]:
        """Token → id, with the added tokens."""
        return self._rust.get_vocab(with_added_tokens=True)

    @property
    def vocab(self) -> dict[str, int]:
        """As `get_vocab`."""
        return self.get_vocab()

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Id → added token."""
        return self._rust.get_added_tokens_decoder()

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """Added token → id, in the order of the ids."""
        return {str(token): index for index, token in sorted(self.added_tokens_decoder.items())}

    def get_added_vocab(self) -> dict[str, int]:
        """As `added_tokens_encoder`."""
        return self.added_tokens_encoder

    def add_tokens(self, new_tokens: Any, special_tokens: bool = False) -> int:
        """Add tokens to the vocabulary; how many were new. The model's embeddings must grow as well."""
        tokens = [new_tokens] if isinstance(new_tokens, (str, AddedToken)) else list(new_tokens)
        add = self._rust.add_special_tokens if special_tokens else self._rust.add_tokens
        added = add(tokens)
        self._forget_views()
        return int(added)

    @abstractmethod
    def _forget_views(self) -> None:
        """What was derived from the tokens there were no longer holds."""

    def add_special_tokens(
        self, special_tokens_dict: Mapping[str, Any], replace_additional_special_tokens: bool = True
    ) -> int:
        """Give special tokens by role ({'pad_token': '[PAD]'}), adding those that are not in the vocabulary.

        How many were new.
        """
        return self.add_tokens(self._name_special(special_tokens_dict, replace_additional_special_tokens), True)

    # -- special tokens in sequences of ids --------------------------------------------------------------------------

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many tokens are put around a text or pair."""
        return self._rust.num_special_tokens_to_add(pair)

    @property
    def max_len_single_sentence(self) -> int:
        """The tokens that a text may have, without the special ones."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=False)

    @property
    def max_len_sentences_pair(self) -> int:
        """The tokens that the two texts of a pair may have together."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def get_special_tokens_mask(
        self, token_ids_0: Any, token_ids_1: Any = None, already_has_special_tokens: bool = False
    ) -> list[int]:
        """1 where an id is a special token's, of ids that have theirs already."""
        if not already_has_special_tokens or token_ids_1 is not None:
            raise InvalidArgument(
                "get_special_tokens_mask takes one sequence with already_has_special_tokens=True; for a text, call "
                "the tokenizer "
                "with return_special_tokens_mask=True."
            )
        special = set(self.all_special_ids)
        return [int(index in special) for index in decoding.id_list(token_ids_0)]

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Ids of a text (or pair) with the special tokens around them."""
        return [index for index, _ in self._around(token_ids_0, token_ids_1)]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """The token types of `build_inputs_with_special_tokens`."""
        return [type_id for _, type_id in self._around(token_ids_0, token_ids_1)]

    def _around(self, first: list[int], second: list[int] | None) -> list[tuple[int, int]]:
        """(id, type) of the two with special tokens, found by how a word that stands for each is treated."""
        probe = "a" if second is None else ("a", "a")
        (encoding,) = self._views.encode([probe], None)
        around: list[tuple[int, int]] = []
        done: set[int | None] = {None}
        for index, type_id, sequence in zip(encoding.ids, encoding.type_ids, encoding.sequence_ids, strict=True):
            if sequence is None:
                around.append((index, type_id))
            elif sequence not in done:
                around += [(own, type_id) for own in (second if sequence else first) or ()]
            done.add(sequence)
        if not done >= ({0} if second is None else {0, 1}):
            raise TokenizerError(
                "this tokenizer has no token for the letter 'a', by which the special tokens' places are found."
            )
        return around
