"""The special tokens of a tokenizer, as attributes: `mask_token`, `mask_token_id`, `all_special_ids` …"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

from tokenizers import AddedToken
from tokenizers import Tokenizer as RustTokenizer

from ..errors import InvalidArgument, did_you_mean

__all__ = ["SpecialTokens"]

_LIST = "additional_special_tokens"


class _Token:
    """An attribute that holds a special token's text, or None."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> _Token: ...
    @overload
    def __get__(self, instance: SpecialTokens, owner: type) -> str | None: ...
    def __get__(self, instance: SpecialTokens | None, owner: type) -> _Token | str | None:
        if instance is None:
            return self
        token = instance._special_tokens[self.name]
        return None if token is None else str(token)

    def __set__(self, instance: SpecialTokens, value: str | AddedToken | None) -> None:
        if not (value is None or isinstance(value, (str, AddedToken))):
            raise InvalidArgument(f"{self.name} must be a str or None, not {value!r:.60}.")
        instance._special_tokens[self.name] = value


class _TokenId:
    """An attribute that holds a special token's id, or None."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.token = name.removesuffix("_id")

    @overload
    def __get__(self, instance: None, owner: type) -> _TokenId: ...
    @overload
    def __get__(self, instance: SpecialTokens, owner: type) -> int | None: ...
    def __get__(self, instance: SpecialTokens | None, owner: type) -> _TokenId | int | None:
        if instance is None:
            return self
        token = instance._special_tokens[self.token]
        return None if token is None else instance._id_or_unknown(str(token))

    def __set__(self, instance: SpecialTokens, value: int | None) -> None:
        instance._special_tokens[self.token] = None if value is None else instance._rust.id_to_token(int(value))


class SpecialTokens:
    """Mixin: what a Tokenizer knows of its special tokens."""

    _rust: RustTokenizer
    _special_tokens: dict[str, Any]

    bos_token = _Token()
    eos_token = _Token()
    unk_token = _Token()
    sep_token = _Token()
    pad_token = _Token()
    cls_token = _Token()
    mask_token = _Token()
    bos_token_id = _TokenId()
    eos_token_id = _TokenId()
    unk_token_id = _TokenId()
    sep_token_id = _TokenId()
    pad_token_id = _TokenId()
    cls_token_id = _TokenId()
    mask_token_id = _TokenId()

    @property
    def additional_special_tokens(self) -> list[str]:
        """Special tokens without a role of their own."""
        return [str(token) for token in self._special_tokens[_LIST]]

    @additional_special_tokens.setter
    def additional_special_tokens(self, tokens: Sequence[str | AddedToken]) -> None:
        self._special_tokens[_LIST] = list(tokens)

    @property
    def additional_special_tokens_ids(self) -> list[int | None]:
        """Their ids."""
        return [self._id_or_unknown(token) for token in self.additional_special_tokens]

    def __getattr__(self, name: str) -> Any:
        """The checkpoint's own special tokens (`extra_special_tokens`), such as image_token and image_token_id."""
        tokens = self.__dict__.get("_special_tokens", {})
        if name in tokens:
            return None if tokens[name] is None else str(tokens[name])
        if name.endswith("_id") and tokens.get(name[:-3]) is not None:
            return self._id_or_unknown(str(tokens[name[:-3]]))
        near = did_you_mean(name, [key for key in dir(type(self)) if not key.startswith("_")]) if tokens else ""
        raise AttributeError(f"a {type(self).__name__} has no attribute {name!r}.{near}")

    def _id_or_unknown(self, token: str) -> int | None:
        """The token's id, else the unknown token's."""
        index = self._rust.token_to_id(token)
        if index is None and (unknown := self._special_tokens["unk_token"]) is not None:
            index = self._rust.token_to_id(str(unknown))
        return index

    @property
    def special_tokens_map(self) -> dict[str, str | list[str]]:
        """Attribute → token, of those that are set."""
        return {
            name: [str(token) for token in value] if isinstance(value, list) else str(value)
            for name, value in self.special_tokens_map_extended.items()
        }

    @property
    def special_tokens_map_extended(self) -> dict[str, Any]:
        """As `special_tokens_map`, with AddedToken objects where they have flags."""
        return {name: value for name, value in self._special_tokens.items() if value}

    @property
    def all_special_tokens(self) -> list[str]:
        """Each special token once."""
        tokens: dict[str, None] = {}
        for value in self.special_tokens_map.values():
            tokens |= dict.fromkeys(value if isinstance(value, list) else [value])
        return list(tokens)

    @property
    def all_special_ids(self) -> list[int | None]:
        """Their ids."""
        return [self._id_or_unknown(token) for token in self.all_special_tokens]

    def _name_special(self, tokens: Mapping[str, Any], replace_additional: bool) -> list[AddedToken]:
        """Give tokens their roles; the tokens, flagged special."""
        named: list[AddedToken] = []
        for name, value in tokens.items():
            if name not in self._special_tokens:
                near = did_you_mean(name, self._special_tokens)
                raise InvalidArgument(
                    f"{name!r} is no special token.{near} There are: {', '.join(self._special_tokens)}."
                )
            given = list(value) if name == _LIST else [value]
            if not all(isinstance(token, (str, AddedToken)) for token in given):
                raise InvalidArgument(
                    f"{name} must be {'a list of str' if name == _LIST else 'a str'}, not {value!r:.100}."
                )
            made = [AddedToken(t, normalized=False, special=True) if isinstance(t, str) else t for t in given]
            if name == _LIST and not replace_additional:
                made = [token for token in made if str(token) not in self.additional_special_tokens]
                self._special_tokens[_LIST] = [*self._special_tokens[_LIST], *made]
            else:
                self._special_tokens[name] = made if name == _LIST else made[0]
            named += made
        return named
