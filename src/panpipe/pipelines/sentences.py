"""Where sentences end, by rules for Latin, Cyrillic, Arabic, Indic, Korean, Chinese and Japanese punctuation.

The rules rather leave two sentences together than cut one in two: a translation of a half is wrong, one of two is not.
Not covered: scripts that write no full stops (Thai, Lao, Khmer), where only spaces and line breaks could tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Sentence", "joined", "pieces_within", "split_sentences"]

_CLOSERS = "\"'”’»›)]}）］｝」』】〕》〉"
_WIDE = "。！？｡．"  # these end a sentence whatever follows
_END = re.compile(rf"([.!?…؟۔।॥{_WIDE}]+)[{re.escape(_CLOSERS)}]*")
_SPACE = re.compile(r"\s*")
_LAST_WORD = re.compile(r"[^\s\"'(\[{“‘«「『]+$")
_LONGEST_WORD = 20  # of those that matter here
_ACRONYM = re.compile(r"(?:[^\W\d]\.)*[^\W\d]")  # J., U.S., z.B.
_NUMBER = re.compile(r"\d{1,4}")
_QUOTE_GOES_ON = ("と", "って")  # Japanese: 「…。」と言った is one sentence

_WORDS = """
    mr mrs ms dr prof sr jr st mt rev hon pres gov sen rep gen col maj capt lt sgt cmdr vs etc al cf approx ca inc ltd
    co corp bros dept univ assn est jan feb mar apr jun jul aug sep sept oct nov dec ave blvd rd
    hr fr frau nr bzw usw ggf inkl zzgl str vgl evtl mme mlle m sra srta ud uds dña dott sig ing av
"""
_ABBREVIATIONS = frozenset(_WORDS.split())
_NUMBERED = "no nos fig figs p pp vol vols ch sec eq art nr núm § op cap pag págs"
_BEFORE_NUMBERS = frozenset(_NUMBERED.split())

_BREAKS = (  # where a sentence that is too long is cut best; each is one class of places, the better first
    re.compile(r"[;:；：—–][\"'”’»)\]」』）]*\s*"),
    re.compile(r"[,，、،][\"'”’»)\]」』）]*\s*"),
    re.compile(r"\s+"),
)


@dataclass(frozen=True)
class Sentence:
    """A sentence, and the white space between it and the next one."""

    text: str
    after: str = ""


def split_sentences(text: str) -> list[Sentence]:
    """The sentences of a text; the texts and what is after them, put together again, are the text.

    A line break ends a sentence, as in headings, lists and verse. White space before the first sentence is after a
    sentence of no characters.
    """
    found: list[Sentence] = []
    space = ""
    for line in text.splitlines(keepends=True):
        body = line.strip()
        if body:
            begin = line.index(body)
            _append_space(found, space + line[:begin])
            found += _of_line(body)
            space = line[begin + len(body) :]
        else:
            space += line
    _append_space(found, space)
    return found


def pieces_within(text: str, ends: list[int], room: int) -> list[Sentence]:
    """A sentence of more than `room` tokens in pieces that have at most so many: cut after a clause, else a word.

    ends: where in the text each of its tokens ends, in order.   A cut is in a piece's second half: none is tiny.
    """
    pieces: list[Sentence] = []
    begin = first = 0
    while len(ends) - first > room:
        limit = ends[first + room - 1]
        middle = ends[first + room // 2 - 1] if room > 1 else begin
        place = _space_end(text, max(_best_break(text, max(middle, begin + 1), limit), begin + 1))
        pieces.append(_trimmed(text[begin:place]))
        begin = place
        while first < len(ends) and ends[first] <= begin:
            first += 1
    return [*pieces, _trimmed(text[begin:])] if text[begin:] else pieces


def joined(pieces: list[tuple[str, str]], spaced: bool | None) -> str:
    """Answers put together, each with the white space that was after its question.

    Line breaks stay. Between sentences of a line there is a space where the answers' language has one (`spaced`; None:
    where the questions had one).
    """
    text = ""
    for index, (answer, after) in enumerate(pieces):
        is_last = index == len(pieces) - 1
        if "\n" in after or is_last or spaced is None or not answer:
            text += answer + after
        else:
            text += answer + (" " if spaced else "")
    return text


def _append_space(found: list[Sentence], space: str) -> None:
    """White space goes to the sentence before it."""
    if space:
        last = found.pop() if found else Sentence("")
        found.append(Sentence(last.text, last.after + space))


def _of_line(line: str) -> list[Sentence]:
    """The sentences of a line that begins and ends with something to see."""
    found: list[Sentence] = []
    begin = 0
    for match in _END.finditer(line):
        next_begin = _space_end(line, match.end())
        if _is_end(line, begin, match, next_begin):
            found.append(Sentence(line[begin : match.end()], line[match.end() : next_begin]))
            begin = next_begin
    return [*found, Sentence(line[begin:])] if begin < len(line) else found


def _space_end(line: str, begin: int) -> int:
    found = _SPACE.match(line, begin)
    return begin if found is None else found.end()


def _is_end(line: str, begin: int, match: re.Match[str], next_begin: int) -> bool:
    """Whether the sentence that began there ends at this punctuation."""
    if next_begin == len(line):
        return True
    marks, following = match[1], line[next_begin]
    if marks[-1] in _WIDE:
        in_quotes = match[0] != marks
        return not (in_quotes and line.startswith(_QUOTE_GOES_ON, next_begin)) and not following.isdigit()
    if next_begin == match.end() or following.islower():
        return False
    before = line[max(begin, match.start() - _LONGEST_WORD) : match.start()]
    return marks != "." or not _is_abbreviation(before, following)


def _is_abbreviation(before: str, following: str) -> bool:
    """Whether the full stop belongs to the last word before it.   following: the next character that is no space."""
    found = _LAST_WORD.search(before)
    if found is None:
        return True
    word = found[0]
    if _NUMBER.fullmatch(word):  # 1. Introduction, am 3. Oktober, 2024. 3. 5.
        return len(word) <= 2 or following.isdigit()
    if _ACRONYM.fullmatch(word):  # of a script that has capitals
        return word.upper() != word.lower()
    word = word.casefold()
    return word in _ABBREVIATIONS or (word in _BEFORE_NUMBERS and following.isdigit())


def _best_break(text: str, low: int, high: int) -> int:
    """The last good place to cut between low and high; high where there is none."""
    for kind in _BREAKS:
        places = [match.end() for match in kind.finditer(text, low, high) if low < match.end() <= high]
        if places:
            return places[-1]
    return high


def _trimmed(text: str) -> Sentence:
    body = text.rstrip()
    return Sentence(body, text[len(body) :])
