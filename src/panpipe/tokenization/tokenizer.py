"""The Tokenizer: text to token ids and back, over the Rust tokenizers library."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from tokenizers import AddedToken, Encoding
from tokenizers import Tokenizer as RustTokenizer

from ..errors import InputError, InvalidArgument
from ..weights.adapters import with_base
from ..weights.hub import resolve
from ..weights.source import Source
from . import chat, saving
from .assembly import NO_LIMIT, Parts, assemble
from .batch_encoding import BatchEncoding
from .languages import Around, Languages
from .loading import load_parts
from .options import CallOptions, Plan, WarnOnce, plan, refuse_unknown
from .padding import NO_PAD_TOKEN, pad_encodings, pad_examples, round_up
from .piece_views import PieceViews
from .tokenizer_json import read_rust
from .views import Truncation, Views, batch_of
from .vocabulary import Vocabulary

__all__ = ["AutoTokenizer", "Tokenizer"]

T = TypeVar("T", bound="Tokenizer")

_IGNORED = ("config", "force_download", "resume_download", "trust_remote_code", "from_slow")
"""Arguments of transformers' from_pretrained that mean nothing here: no code is run, and each file is fetched once."""


class Tokenizer(Vocabulary):
    """Text to token ids and back.

    Made by `from_pretrained`, or from a `tokenizers.Tokenizer`:  Tokenizer(tokenizer_object=…, unk_token="[UNK]", …).
    A call never changes it, and it may be used from several threads.

    model_max_length: the model's limit in tokens, 10**30 where the files name none.
    padding_side, truncation_side: 'right' or 'left'.   model_input_names: what a call returns by default.
    src_lang, tgt_lang: the languages of texts and targets where a call names none, of a tokenizer that has languages.
    """

    tokenizer_class: str | None = None  # of the named classes (BertTokenizer …): instead of what the files say
    is_fast = True

    def __init__(
        self,
        *,
        tokenizer_object: RustTokenizer | None = None,
        tokenizer_file: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        if (tokenizer_object is None) == (tokenizer_file is None):
            raise InvalidArgument(
                "give either tokenizer_object= or tokenizer_file=; a checkpoint's tokenizer comes from "
                f"{type(self).__name__}.from_pretrained(name_or_folder)."
            )
        if tokenizer_object is not None:
            rust = copy.deepcopy(tokenizer_object)
        else:
            path = Path(tokenizer_file or "")
            rust = read_rust(str(path), path.read_bytes())
        self._take(assemble("", self.tokenizer_class or "PreTrainedTokenizer", settings, rust))

    @classmethod
    def from_pretrained(
        cls: type[T],
        pretrained_model_name_or_path: str | os.PathLike[str] | Source,
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        subfolder: str | None = None,
        use_fast: bool = True,
        **overrides: Any,
    ) -> T:
        """The tokenizer of a checkpoint: a folder, a model id of the Hub, or a Source of files.

        overrides: settings that win over the files', such as do_lower_case, model_max_length, pad_token, padding_side.
        use_fast is accepted and makes no difference: there is one kind.
        Raises CheckpointNotFound, TokenizerError, CorruptCheckpoint, HubUnavailable, UnknownArgument.
        """
        overrides = {name: value for name, value in overrides.items() if name not in _IGNORED}
        source = pretrained_model_name_or_path
        if not isinstance(source, Source):
            source = resolve(
                source,
                revision=revision,
                cache_dir=cache_dir,
                token=token,
                local_files_only=local_files_only,
                subfolder=subfolder,
            )
        if source.file("tokenizer_config.json") is None:
            source = with_base(source)  # an adapter's tokenizer is that of its base
        return cls._of(load_parts(source, overrides, cls.tokenizer_class))

    @classmethod
    def _of(cls: type[T], parts: Parts) -> T:
        tokenizer = cls.__new__(cls)
        tokenizer._take(parts)
        return tokenizer

    def _take(self, parts: Parts) -> None:
        settings = parts.settings
        self._parts = parts
        self._rust = parts.rust
        self._special_tokens = parts.special_tokens
        self._views, self._target_views = _views(parts)
        self._warn = WarnOnce()
        self._arounds: dict[str, Around] = {}
        self.name_or_path: str = parts.name
        limit = settings.get("model_max_length")
        self.model_max_length: int = NO_LIMIT if limit is None else limit
        self.padding_side: str = settings.get("padding_side", "right")
        self.truncation_side: str = settings.get("truncation_side", "right")
        self.model_input_names: list[str] = list(settings.get("model_input_names", parts.family.input_names))
        self.clean_up_tokenization_spaces: bool = bool(settings.get("clean_up_tokenization_spaces", False))
        self.split_special_tokens: bool = bool(settings.get("split_special_tokens", False))
        self.add_prefix_space: bool = bool(settings.get("add_prefix_space", False))
        self.chat_template = chat.named_templates(parts.name, settings.get("chat_template"))
        self.src_lang: str | None = settings.get("src_lang") or self._first_language()
        self.tgt_lang: str | None = settings.get("tgt_lang")
        self.verbose: bool = False

    # -- encoding, for pipelines -------------------------------------------------------------------------------------

    def encode_batch(
        self,
        texts: Sequence[Any],
        pairs: Sequence[Any] | None = None,
        *,
        add_special_tokens: bool = True,
        truncation: str = "do_not_truncate",
        max_length: int | None = None,
        stride: int = 0,
        overflow: bool = False,
        is_split_into_words: bool = False,
        offsets: bool = True,
        src_lang: str | None = None,
        tgt_lang: str | None = None,
        as_target: bool = False,
    ) -> list[Encoding]:
        """The Rust library's encodings of several texts (or pairs), in one call, not padded.

        Each has ids, type_ids, offsets (characters of the text), word_ids, sequence_ids, special_tokens_mask, tokens.
        truncation: 'longest_first', 'only_first', 'only_second' or 'do_not_truncate'.
        max_length: with the special tokens; default: the model's.
        overflow: what was cut is wanted too: in each encoding's `overflowing`, in windows that share `stride` tokens.
        offsets: False where only ids and words are wanted, which is faster.
        as_target: the texts are translations, not texts to be translated.   src_lang, tgt_lang: their language.
        Raises InputError, TooLong (truncation cannot make it fit), InvalidArgument, TokenizerError.
        """
        cut = self._truncation(truncation, max_length, stride if overflow else 0)
        return self._side(as_target).encode(
            batch_of(texts, pairs),
            cut,
            add_special_tokens=add_special_tokens,
            words=is_split_into_words,
            fast=not offsets,
            around=self._around_language(tgt_lang if as_target else src_lang, as_target),
        )

    def encode_ids(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        add_special_tokens: bool = True,
        truncation: str = "do_not_truncate",
        max_length: int | None = None,
        src_lang: str | None = None,
        tgt_lang: str | None = None,
        as_target: bool = False,
    ) -> tuple[list[list[int]], list[list[int]] | None]:
        """The ids of several texts (or pairs), and their token types if the model takes them: the fastest way.

        Returns (ids, type_ids or None), a list per text.   Raises as `encode_batch` does.
        """
        cut = self._truncation(truncation, max_length, 0)
        inputs = batch_of(texts, pairs)
        around = self._around_language(tgt_lang if as_target else src_lang, as_target)
        encodings = self._side(as_target).encode(
            inputs, cut, add_special_tokens=add_special_tokens, fast=True, around=around
        )
        types = [encoding.type_ids for encoding in encodings] if "token_type_ids" in self.model_input_names else None
        return [encoding.ids for encoding in encodings], types

    def _truncation(self, strategy: str, max_length: int | None, stride: int) -> Truncation | None:
        if strategy == "do_not_truncate":
            return None
        options = CallOptions(truncation=strategy, max_length=max_length, stride=stride)
        return self._cut(plan(options, self.model_max_length, self._warn), stride)

    def _cut(self, planned: Plan, stride: int) -> Truncation | None:
        if planned.truncation == "do_not_truncate" or planned.max_length is None:
            return None
        return Truncation(int(planned.max_length), stride, planned.truncation, self.truncation_side)

    # -- encoding, as in transformers --------------------------------------------------------------------------------

    def __call__(
        self,
        text: Any = None,
        text_pair: Any = None,
        text_target: Any = None,
        text_pair_target: Any = None,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        split_special_tokens: bool | None = None,
        src_lang: str | None = None,
        tgt_lang: str | None = None,
        **unknown: Any,
    ) -> BatchEncoding:
        """Token ids (and what else is asked for) of a text, a pair of texts, or a list of either.

        text: str; list[str] for a batch; list[str] of words, or a list of those, with is_split_into_words=True.
        text_pair: the second texts.   text_target: texts whose ids are returned as `labels`.
        src_lang, tgt_lang: the languages of texts and targets, of a tokenizer that has languages.
        padding: True or 'longest'; 'max_length'.   truncation: True or 'longest_first'; 'only_first'; 'only_second'.
        max_length: in tokens, special ones included; default: model_max_length.
        return_overflowing_tokens: also what was cut, in windows that share `stride` tokens;
        `overflow_to_sample_mapping` says which text each row is of.   return_tensors: 'np' or 'pt'. Raises InputError,
        TooLong, InvalidArgument, UnknownArgument, TokenizerError.
        """
        if unknown:
            refuse_unknown(unknown)
        options = CallOptions(
            add_special_tokens,
            padding,
            truncation,
            max_length,
            stride,
            is_split_into_words,
            pad_to_multiple_of,
            padding_side,
            return_tensors,
            return_token_type_ids,
            return_attention_mask,
            return_overflowing_tokens,
            return_special_tokens_mask,
            return_offsets_mapping,
            return_length,
            verbose,
            split_special_tokens,
            src_lang,
            tgt_lang,
        )
        if text is None and text_target is None:
            raise InputError("the text is None; expected a str or a list of them (or text_target=).")
        if text_target is None:
            return self._call_one(text, text_pair, options)
        targets = self._call_one(text_target, text_pair_target, replace(options, as_target=True))
        if text is None:
            return targets
        encodings = self._call_one(text, text_pair, options)
        encodings["labels"] = targets["input_ids"]
        return encodings

    def _call_one(self, text: Any, pair: Any, options: CallOptions) -> BatchEncoding:
        """One argument of a call: a batch, or a single text."""
        text, pair = _listed(text), _listed(pair)
        is_list = isinstance(text, (list, tuple))
        if not is_list and not isinstance(text, str):
            raise InputError(f"the text is {text!r:.60} ({type(text).__name__}); expected a str or a list of them.")
        if options.is_split_into_words:
            is_list = is_list and len(text) > 0 and isinstance(text[0], (list, tuple))
        if not is_list:
            return self._encode_one(text, pair, options)
        if isinstance(pair, str):
            raise InputError(
                "text is a list and text_pair one str; a batch needs a list of second texts, one for each text."
            )
        return self._encode_rows(batch_of(text, pair), options)

    def encode_plus(self, text: Any, text_pair: Any = None, **options: Any) -> BatchEncoding:
        """As a call, for one text or pair."""
        return self._encode_one(text, text_pair, CallOptions.of(options))

    def batch_encode_plus(self, batch_text_or_text_pairs: Sequence[Any], **options: Any) -> BatchEncoding:
        """As a call, for a list of texts or (text, text_pair)."""
        return self._encode_rows(batch_of(batch_text_or_text_pairs), CallOptions.of(options))

    def encode(self, text: Any, text_pair: Any = None, add_special_tokens: bool = True, **options: Any) -> Any:
        """The ids of one text or pair: a list, or what return_tensors= asks for."""
        return self.encode_plus(text, text_pair, add_special_tokens=add_special_tokens, **options)["input_ids"]

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """The tokens of one text or pair."""
        return self.encode_plus(text, pair, add_special_tokens=add_special_tokens, **options).tokens()

    def _encode_one(self, text: Any, pair: Any, options: CallOptions) -> BatchEncoding:
        batch = self._encode_rows([(text, pair)] if pair else [text], options)
        if options.return_tensors is None and not options.return_overflowing_tokens:
            data = batch.data
            for key, value in data.items():
                if value and isinstance(value[0], list):
                    data[key] = value[0]
        return batch

    def _encode_rows(self, inputs: list[Any], options: CallOptions) -> BatchEncoding:
        words = options.is_split_into_words
        if words and self._parts.family.words_need_prefix and not self.add_prefix_space:
            raise InvalidArgument(
                "is_split_into_words=True needs a tokenizer that puts a space before each word: load this one with "
                "from_pretrained(…, add_prefix_space=True)."
            )
        planned = plan(options, self.model_max_length, self._warn)
        if planned.padding != "do_not_pad" and self.pad_token_id is None:
            raise InvalidArgument(NO_PAD_TOKEN)
        as_target = options.as_target
        encodings = self._side(as_target).encode(
            inputs,
            self._cut(planned, options.stride),
            add_special_tokens=options.add_special_tokens,
            words=words,
            split_special=self._split_special(options),
            around=self._around_language(options.tgt_lang if as_target else options.src_lang, as_target),
        )
        rows, samples = encodings, None
        if options.return_overflowing_tokens:
            rows, samples = flatten_windows(encodings)
        if planned.padding != "do_not_pad":
            self._pad_rows(rows, encodings, planned, options)
        data = self._columns(rows, options)
        if samples is not None:
            data["overflow_to_sample_mapping"] = samples
        if planned.max_length is None and options.verbose:
            self._warn_too_long(data["input_ids"])
        return BatchEncoding(data, rows, options.return_tensors)

    def _split_special(self, options: CallOptions) -> bool | None:
        wanted = self.split_special_tokens if options.split_special_tokens is None else options.split_special_tokens
        return wanted if wanted != self._rust.encode_special_tokens else None

    def _pad_rows(self, rows: list[Encoding], encodings: list[Encoding], planned: Plan, options: CallOptions) -> None:
        length = planned.max_length or 0
        if planned.padding == "longest":
            length = max(map(len, encodings), default=0)
        side = options.padding_side or self.padding_side
        if side not in ("right", "left"):
            raise InvalidArgument(f"padding_side={side!r}: expected 'right' or 'left'.")
        pad_id = self.pad_token_id
        assert pad_id is not None, "checked before encoding"
        pad_encodings(rows, round_up(length, options.pad_to_multiple_of), side, pad_id, self.pad_token or "")

    def _columns(self, rows: list[Encoding], options: CallOptions) -> dict[str, Any]:
        names = self.model_input_names
        data: dict[str, Any] = {"input_ids": [row.ids for row in rows]}
        with_types = options.return_token_type_ids
        if "token_type_ids" in names if with_types is None else with_types:
            data["token_type_ids"] = [row.type_ids for row in rows]
        with_mask = options.return_attention_mask
        if "attention_mask" in names if with_mask is None else with_mask:
            data["attention_mask"] = [row.attention_mask for row in rows]
        if options.return_special_tokens_mask:
            data["special_tokens_mask"] = [row.special_tokens_mask for row in rows]
        if options.return_offsets_mapping:
            data["offset_mapping"] = [row.offsets for row in rows]
        if options.return_length:
            data["length"] = [len(row) for row in rows]
        return data

    def _warn_too_long(self, rows: list[list[int]]) -> None:
        for ids in rows:
            if len(ids) > self.model_max_length > 0:
                self._warn(
                    "too-long",
                    "%d tokens are more than the %d that the model takes: truncate (truncation=True) or split the "
                    "text.",
                    len(ids),
                    self.model_max_length,
                )

    # -- padding -----------------------------------------------------------------------------------------------------

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Pad examples that are tokenized already: a call's output, or a list of such, one per example.

        Raises InputError (no input_ids), InvalidArgument (no padding token).
        """
        options = CallOptions(padding=padding, truncation=False, max_length=max_length, verbose=False)
        planned = plan(options, self.model_max_length, self._warn)
        if planned.padding != "do_not_pad" and self.pad_token_id is None:
            raise InvalidArgument(NO_PAD_TOKEN)
        with_mask = (
            "attention_mask" in self.model_input_names if return_attention_mask is None else return_attention_mask
        )
        return pad_examples(
            encoded_inputs,
            main=self.model_input_names[0],
            length=planned.max_length if planned.padding == "max_length" else None,
            longest=planned.padding == "longest",
            multiple=pad_to_multiple_of,
            side=padding_side or self.padding_side,
            pad_id=self.pad_token_id,
            with_mask=with_mask,
            return_tensors=return_tensors,
        )

    # -- chats -------------------------------------------------------------------------------------------------------

    def apply_chat_template(
        self,
        conversation: Any,
        tools: Sequence[Any] | None = None,
        documents: Sequence[Any] | None = None,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = False,
        max_length: int | None = None,
        return_tensors: str | None = None,
        return_dict: bool = False,
        tokenizer_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """The ids (or, with tokenize=False, the text) of a chat as the model was trained on chats.

        conversation: messages, dicts of 'role' and 'content'; or a list of several such chats, for a list of each.
        tools, documents: dicts that the template is given.   chat_template: instead of the tokenizer's, or its name.
        add_generation_prompt: end where the model's answer begins.   continue_final_message: end inside the last
        message, so that the model goes on with it.   return_dict: the whole of a call's output.
        kwargs: more names for the template.   The template runs in a sandbox, see sandbox.py for its limits.
        Raises InputError, InvalidArgument, TemplateError (also with what the template itself refuses).
        """
        if return_dict and not tokenize:
            raise InvalidArgument("return_dict=True is about ids, and tokenize=False asks for the text: give one.")
        if kwargs.pop("return_assistant_tokens_mask", False):
            raise InvalidArgument("return_assistant_tokens_mask=True is not done here.")
        text = chat.as_text(
            conversation,
            self.get_chat_template(chat_template, tools),
            tools=tools,
            documents=documents,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=continue_final_message,
            values={**self.special_tokens_map, **kwargs},
        )
        if not tokenize:
            return text
        options: dict[str, Any] = {"padding": padding, "truncation": truncation, "max_length": max_length}
        options |= {"return_tensors": return_tensors, "add_special_tokens": False, **(tokenizer_kwargs or {})}
        encoded = self(text, **options)
        return encoded if return_dict else encoded["input_ids"]

    def get_chat_template(self, chat_template: str | None = None, tools: Sequence[Any] | None = None) -> str:
        """The template that a chat is written by: the given one or the one of that name, else the tokenizer's own.

        Raises TemplateError where there is none.
        """
        return chat.choose(self.chat_template, chat_template, tools is not None)

    # -- languages ---------------------------------------------------------------------------------------------------

    def _forget_views(self) -> None:
        """After the vocabulary has been changed."""
        self._views.forget()
        self._target_views.forget()
        self._arounds = {}

    @property
    def language_codes(self) -> dict[str, int]:
        """Language → the id of its token, which a translation into it starts with; empty where there are none."""
        languages = self._languages()
        return {} if languages is None else languages.ids(self._language_settings(), self._rust)

    @property
    def lang_code_to_id(self) -> dict[str, int]:
        """As `language_codes`."""
        return self.language_codes

    @property
    def supported_language_codes(self) -> list[str]:
        """Marian's: the tokens, such as >>fra<<, one of which a text starts with to be translated into a language."""
        if self._parts.pieces is None:
            return []
        return [token for token in self.get_vocab() if token.startswith(">>") and token.endswith("<<")]

    def get_lang_id(self, lang: str) -> int:
        """The id of a language's token.   Raises InvalidArgument."""
        codes = self.language_codes
        Languages.check(lang, codes)
        return codes[lang]

    def _languages(self) -> Languages | None:
        return self._parts.family.languages

    def _language_settings(self) -> dict[str, Any]:
        return {**self._parts.settings, **self._special_tokens}

    def _first_language(self) -> str | None:
        languages = self._languages()
        if languages is None:
            return None
        codes = self.language_codes
        return languages.first if languages.first in codes else next(iter(codes))

    def _around_language(self, asked: str | None, as_target: bool) -> Around | None:
        """The special tokens around a text in a language; None for a tokenizer without languages."""
        languages = self._languages()
        name = "tgt_lang" if as_target else "src_lang"
        if languages is None:
            if asked is not None:
                raise InvalidArgument(f"{name}={asked!r:.60}: this tokenizer's texts have no token for their language.")
            return None
        code = asked or (self.tgt_lang if as_target else self.src_lang)
        if code is None:
            raise InvalidArgument(f"{name}= is needed: which language are the targets in?")
        around = self._arounds.get(code)
        if around is None:
            around = self._arounds[code] = languages.around(code, self._language_settings(), self._rust)
        return around

    def _side(self, as_target: bool) -> Views:
        return self._target_views if as_target else self._views

    # -- the whole ---------------------------------------------------------------------------------------------------

    @property
    def backend_tokenizer(self) -> RustTokenizer:
        """The Rust tokenizer. Change it right where it is taken, if at all: truncation works on copies made later."""
        self._forget_views()
        return self._rust

    @property
    def init_kwargs(self) -> dict[str, Any]:
        """The settings it was made with."""
        return dict(self._parts.settings)

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write tokenizer.json, tokenizer_config.json, special_tokens_map.json and the vocabulary; the files' paths."""
        return saving.save(self, self._parts, Path(save_directory))

    def train_new_from_iterator(
        self: T,
        text_iterator: Iterable[str | Sequence[str]],
        vocab_size: int,
        length: int | None = None,
        new_special_tokens: Sequence[str | AddedToken] | None = None,
        special_tokens_map: Mapping[str, str] | None = None,
        **options: Any,
    ) -> T:
        """A tokenizer of the same kind (normalization, words, special tokens and their roles) for other texts.

        text_iterator: texts, or lists of texts, read as a stream.   vocab_size: with the special tokens.
        length: how many items there are, for a progress bar.   new_special_tokens: more of them.
        special_tokens_map: old token → new name.
        options: the Rust trainer's: min_frequency, limit_alphabet, initial_alphabet, max_token_length, show_progress …
        Raises InputError, InvalidArgument (also for a kind that cannot be trained: Marian's, M2M100's),
        UnknownArgument, TokenizerError.
        """
        from .training import train_like

        return self._of(
            train_like(self, text_iterator, vocab_size, length, new_special_tokens, special_tokens_map, **options)
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        del state["_views"], state["_target_views"], state["_warn"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._rust = self._parts.rust
        self._special_tokens = dict(self._special_tokens)  # a copy's names are its own
        self._views, self._target_views = _views(self._parts)
        self._warn = WarnOnce()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(name_or_path={self.name_or_path!r}, class={self._parts.class_name}, "
            f"vocab_size={self.vocab_size}, "
            f"model_max_length={self.model_max_length}, padding_side={self.padding_side!r}, "
            f"truncation_side={self.truncation_side!r}, special_tokens={self.special_tokens_map})"
        )


def _views(parts: Parts) -> tuple[Views, Views]:
    """Of texts, and of targets."""
    pieces = parts.pieces
    if pieces is None:
        views = Views(parts.rust)
        return views, views
    source = PieceViews(pieces.rust, pieces.source)
    return source, source if pieces.target is pieces.source else PieceViews(pieces.rust, pieces.target)


def _listed(texts: Any) -> Any:
    """Arrays, columns of tables, iterators … of texts as a list; anything else as it is."""
    if isinstance(texts, (str, list, tuple, bytes, Mapping)) or not hasattr(texts, "__iter__"):
        return texts
    return list(texts)


def flatten_windows(encodings: Sequence[Encoding]) -> tuple[list[Encoding], list[int]]:
    """Each encoding followed by its further windows, and for every row the number of the text it is of."""
    rows: list[Encoding] = []
    samples: list[int] = []
    for index, encoding in enumerate(encodings):
        windows = [encoding, *encoding.overflowing]
        rows += windows
        samples += [index] * len(windows)
    return rows, samples


class AutoTokenizer:
    """`AutoTokenizer.from_pretrained(…)`: the tokenizer of any checkpoint, as a Tokenizer."""

    def __init__(self) -> None:
        raise InvalidArgument("AutoTokenizer is not made but loaded: AutoTokenizer.from_pretrained(name_or_folder).")

    @staticmethod
    def from_pretrained(pretrained_model_name_or_path: str | os.PathLike[str] | Source, **options: Any) -> Tokenizer:
        """As `Tokenizer.from_pretrained`."""
        return Tokenizer.from_pretrained(pretrained_model_name_or_path, **options)
