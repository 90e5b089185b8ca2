"""What stands between two attribute values of an XML document, such as ``/><Node id=``.

A document that a program writes repeats a few such pieces of markup all the time. So each different one is
read once, and large parts of a document can be read as a sequence of numbers (see ``column_reading``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["CLOSE_ANY", "Markup", "NotPlain", "Vocabulary", "resolved"]

_SPACE = r"[ \t\r\n]"
_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*(?::[A-Za-z_][A-Za-z0-9_.-]*)?"
_ATTRIBUTE = re.compile(rf"{_SPACE}+({_NAME}){_SPACE}*={_SPACE}*")
_END_OF_TAG = re.compile(rf"{_SPACE}*(/?)>")
_TAG = re.compile(
    rf"</(?P<close>{_NAME}){_SPACE}*>"
    rf"|<(?P<empty>{_NAME}){_SPACE}*(?P<slash>/?)>"
    rf"|<(?P<open>{_NAME}){_SPACE}+(?P<attribute>{_NAME}){_SPACE}*={_SPACE}*\Z"
    rf"|{_SPACE}+"
)
_TEXT, _BLANKS = re.compile(r"[^<>]+(?=</)"), re.compile(rf"{_SPACE}*")
_REFERENCE = re.compile("&(?:(lt|gt|amp|quot|apos);)?")
_REFERENCES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}

CLOSE_ANY = 0
"""The step that ends the element that is open, whatever its name."""


class NotPlain(Exception):
    """The text has something that is not known here, such as a comment. It may be right all the same."""


class Vocabulary:
    """Numbers names and texts in the order in which they come up."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Returns the number of a text, a new one if there is none yet."""
        return self._numbers.setdefault(text, len(self._numbers))

    def find(self, text: str) -> int:
        """Returns the number of a text, -1 if there is none."""
        return self._numbers.get(text, -1)

    @property
    def texts(self) -> list[str]:
        """The texts, by their numbers."""
        return list(self._numbers)


@dataclass(frozen=True, slots=True)
class Markup:
    """One piece of markup.

    Attributes:
        steps: the elements that begin and end, in their order: ``number + 1`` for the begin of the tag with
            this number, ``-number - 1`` for its end, or ``CLOSE_ANY``.
        attribute: the number of the attribute whose value follows, -1 if none does.
        text: the text inside the element that was open before, "" for none.
    """

    steps: tuple[int, ...]
    attribute: int
    text: str = ""

    @staticmethod
    def read(piece: str, tags: Vocabulary, attributes: Vocabulary, *, is_first: bool) -> Markup:
        """Reads a piece. All but the first one of a text stand behind an attribute's value.

        Raises:
            NotPlain: there are comments, references, declarations, or texts beside elements.
        """
        place, steps, text = 0, [], ""
        if not is_first:
            whole = _ATTRIBUTE.fullmatch(piece)
            if whole is not None:
                return Markup((), attributes.number(whole[1]))
            end = _END_OF_TAG.match(piece)
            if end is None:
                raise NotPlain
            place = end.end()
            if end[1]:
                steps.append(CLOSE_ANY)
            else:
                text = _text(piece, place)
        attribute = _read_tags(piece, place + len(text), steps, tags, attributes)
        text = resolved(text)
        return Markup(tuple(steps), attribute, text)


def resolved(text: str) -> str:
    """Returns a text with XML's five own references resolved.

    Raises:
        NotPlain: it has another reference.
    """

    def character(found: re.Match[str]) -> str:
        if found[1] is None:
            raise NotPlain
        return _REFERENCES[found[1]]

    return _REFERENCE.sub(character, text) if "&" in text else text


def _text(piece: str, place: int) -> str:
    """Returns the text at a place of a piece, as it is written, "" if it is blank.

    Nothing else may be in the same element.

    Raises:
        NotPlain: it has a character that XML does not allow, or that reads as another one.
    """
    found = _TEXT.match(piece, place)
    if found is None or _BLANKS.fullmatch(found[0]):
        return ""
    if not all(line.isprintable() for line in re.split(r"[\t\r\n]", found[0])):
        raise NotPlain
    return found[0]


def _read_tags(piece: str, place: int, steps: list[int], tags: Vocabulary, attributes: Vocabulary) -> int:
    """Adds the steps of the tags from a place on. Returns the attribute whose value follows, -1 for none.

    Raises:
        NotPlain: there is something else than tags and blanks.
    """
    while place < len(piece):
        found = _TAG.match(piece, place)
        if found is None:
            raise NotPlain
        place = found.end()
        if found["close"] is not None:
            steps.append(-tags.number(found["close"]) - 1)
        elif found["empty"] is not None:
            number = tags.number(found["empty"]) + 1
            steps += [number, -number] if found["slash"] else [number]
        elif found["open"] is not None:
            steps.append(tags.number(found["open"]) + 1)
            return attributes.number(found["attribute"])
    return -1
