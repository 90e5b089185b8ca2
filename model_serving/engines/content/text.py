"""Recognizes text: XML by its first element, JSON by its keys, other text by its beginning."""

from __future__ import annotations

import re

from model_serving.engines.content.kinds import (
    CATBOOST,
    GIT_LFS_POINTER,
    GRAPH_TEXT,
    HTML,
    JSON,
    KERAS_JSON,
    LIGHTGBM,
    ONNX_TEXT,
    PICKLE,
    PMML,
    SAVED_MODEL_TEXT,
    TENSORFLOW_JS,
    TEXT,
    XGBOOST,
    XGBOOST_DUMP,
    ContentKind,
    xml,
)

__all__ = ["tell_text", "tell_xml"]

_PROLOG = 1 << 20
"""The number of bytes of XML in which the first element is looked for."""

_BEGINNING = 4096

_SPACE = re.compile(r"[ \t\r\n]*")
_DOCTYPE = re.compile(r"<!DOCTYPE\s+([\w.:-]+)", re.IGNORECASE)
_ELEMENT = re.compile(r"<([A-Za-z_][\w.:-]*)[\s/>]")
_PARTS = {"<!--": "-->", "<?": "?>"}
_HTML = {"html", "head", "body"}
_BY_DOCTYPE = {"html": HTML, "pmml": PMML}

_JSON_KEYS = (
    ('"learner"', XGBOOST),
    ('"nodeid"', XGBOOST_DUMP),
    ('"num_tree_per_iteration"', LIGHTGBM),
    ('"tree_info"', LIGHTGBM),
    ('"oblivious_trees"', CATBOOST),
    ('"layers-model"', TENSORFLOW_JS),
    ('"graph-model"', TENSORFLOW_JS),
    ('"keras_version"', KERAS_JSON),
    ('"class_name"', KERAS_JSON),
)

_COMMENTS = r"(?:\s*#[^\n]*\n)*\s*"
_BEGINNINGS = (
    (re.compile(r"version https://git-lfs\.github\.com/spec/"), GIT_LFS_POINTER),
    (re.compile(r"tree\r?\nversion="), LIGHTGBM),
    (re.compile(r"booster\[\d+\]"), XGBOOST_DUMP),
    (re.compile(rf"{_COMMENTS}(saved_model_schema_version\s*:|meta_graphs\s*\{{)"), SAVED_MODEL_TEXT),
    (re.compile(rf"{_COMMENTS}(node|versions|library)\s*:?\s*\{{"), GRAPH_TEXT),
    (re.compile(rf"{_COMMENTS}(ir_version\s*:|producer_name\s*:|<\s*ir_version)"), ONNX_TEXT),
    # Protocol 0: the opcodes of a global, a list, a dictionary.
    (re.compile(r"c[\w.]+\n[\w.]+\n|\((?:l|d|i[\w.]+\n\w+\n)p?\d"), PICKLE),
)


def tell_xml(content: bytes) -> ContentKind | None:
    """Returns the kind of XML or HTML, None for other content or when the first element is too far away."""
    text = _decoded(content[:_PROLOG])
    place = _end_of_space(text, 0)
    while part := next((part for part in _PARTS if text.startswith(part, place)), None):
        end = text.find(_PARTS[part], place + len(part))
        if end < 0:
            return None
        place = _end_of_space(text, end + len(_PARTS[part]))
    if declared := _DOCTYPE.match(text, place):
        # Declarations of entities may follow, which must not be read.
        return _BY_DOCTYPE.get(declared[1].casefold())
    named = _ELEMENT.match(text, place)
    if named is None:
        return None
    name = named[1].rpartition(":")[2]
    if name == "PMML":
        return PMML
    return HTML if name.casefold() in _HTML else xml(name)


def tell_text(content: bytes) -> ContentKind | None:
    """Returns the kind of text, None when the content is not text."""
    text = _as_text(content)
    if text is None:
        return None
    shown = text.lstrip()
    if shown.startswith(("{", "[")):
        return next((kind for key, kind in _JSON_KEYS if key in text), JSON)
    for beginning, kind in _BEGINNINGS:
        if beginning.match(text):
            return kind
    # The engine reads XML that is damaged, or whose first element is far away.
    return None if not shown or shown.startswith("<") else TEXT


def _end_of_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _decoded(content: bytes) -> str:
    """Decodes the content. To read ASCII names, every encoding that extends ASCII will do."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    if content.startswith(b"<\0"):
        return content.decode("utf-16-le", "replace")
    if content.startswith(b"\0<"):
        return content.decode("utf-16-be", "replace")
    return content.removeprefix(b"\xef\xbb\xbf").decode("latin-1")


def _as_text(content: bytes) -> str | None:
    beginning = content[:_BEGINNING]
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = beginning.decode("utf-16", "replace")
    else:
        try:
            text = beginning.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            # A character may have been cut in two.
            if error.start < len(beginning) - 3 or len(content) <= _BEGINNING:
                return None
            text = beginning[: error.start].decode("utf-8-sig")
    if not text or any(ord(character) < 0x20 and character not in "\t\n\r\f" for character in text):
        return None
    return text
