"""JSON that is encoded once and given to many."""

from __future__ import annotations

import json
from typing import Any

from model_serving.query.encoding import Encodings, encoded, json_list, json_object


def test_parts_that_are_encoded_make_a_whole() -> None:
    whole = json_object({'a"b': json_list([encoded(1), encoded({"c": float("nan")})]), "d": encoded("ü")})
    assert json.loads(whole) == {'a"b': [1, {"c": None}], "d": "ü"}
    assert json_list([]) == b"[]"


def test_a_value_is_encoded_again_only_when_it_is_another() -> None:
    encodings = Encodings()
    made: list[Any] = []

    def document_of(value: tuple[int, ...]) -> dict[str, Any]:
        made.append(value)
        return {"value": list(value)}

    for value in ((1, 2), (1, 2), (3,), (3,), (1, 2)):
        assert json.loads(encodings.of("key", value, document_of)) == {"value": list(value)}
    assert made == [(1, 2), (3,), (1, 2)]
    encodings.of("other", (1, 2), document_of)
    assert len(made) == 4


def test_what_is_kept_has_a_limit() -> None:
    encodings = Encodings(most_bytes=1_000)
    made: list[str] = []

    def document_of(value: str) -> str:
        made.append(value)
        return value

    values = [str(number) * 300 for number in range(5)]
    for value in values:
        encodings.of(value, value, document_of)
    encodings.of(values[-1], values[-1], document_of)
    assert made == values
    encodings.of(values[0], values[0], document_of)
    assert made == [*values, values[0]]
    # One that is larger than everything is not kept, and not in the way.
    for _ in range(2):
        assert len(encodings.of("large", "x" * 2_000, document_of)) == 2_002
    assert made[-2:] == ["x" * 2_000] * 2
