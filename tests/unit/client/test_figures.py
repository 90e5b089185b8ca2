"""Numbers as the commands print them."""

from __future__ import annotations

import pytest

from model_serving.client.observing.figures import (
    as_document,
    as_ms,
    as_number,
    as_rate,
    as_share,
    percentiles,
)
from model_serving.observe.answers import Bin, DataType, Summary
from model_serving.observe.values import Rejection


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.000"),
        (0.01234, "0.012"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
        (99.99, "100.0"),
        (-7.029, "-7.03"),
    ],
)
def test_milliseconds(number: float, text: str) -> None:
    assert as_ms(number) == text


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (0.04, "0.0"), (7.25, "7.2"), (12345.6, "12,346")])
def test_rates(number: float, text: str) -> None:
    assert as_rate(number) == text


def test_what_is_not_known_is_empty() -> None:
    assert (as_share(None), as_number(None)) == ("", "")
    assert (as_share(0.125), as_number(1234567)) == ("12.5 %", "1.235e+06")
    assert percentiles(Summary()) == {"p50": "", "p90": "", "p99": "", "p99.9": ""}
    summary = Summary(1, 2.0, 2.0, 2.0, 1.0, 2.0, 30.0, 400.0)
    assert percentiles(summary) == {"p50": "1.00", "p90": "2.00", "p99": "30.0", "p99.9": "400"}


def test_an_answer_as_json_has_names_like_the_messages() -> None:
    document = as_document(
        DataType("wine", rejected=Rejection("m", "v", "why", 5), dead_letters={"NO_MODEL": 2})
    )
    assert document["dataType"] == "wine"
    assert document["rejected"] == {"name": "m", "version": "v", "detail": "why", "ts": 5}
    assert document["deadLetters"] == {"NO_MODEL": 2}
    assert document["latency"]["p999"] == 0.0
    assert as_document((Bin(1.0, 2.0, 3),)) == [{"low": 1.0, "high": 2.0, "count": 3}]
