"""Arrays of numbers are read whole where all of them are plain, and otherwise one by one."""

from __future__ import annotations

import math
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

from model_serving.engines.pmml.evaluator.reading import Unsupported, real_array


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1 -2.5 +3. .5 1e3 -2E-2", [1, -2.5, 3, 0.5, 1000, -0.02]),
        ("", []),
        ("1 INF -INF NaN", [1, math.inf, -math.inf, math.nan]),
        ('"1" " 2 "', [1, 2]),
    ],
)
def test_numbers_as_xml_schema_spells_them(text: str, right: list[float]) -> None:
    np.testing.assert_equal(
        real_array(fromstring(f'<Array type="real">{text}</Array>')), np.array(right, float)
    )


@pytest.mark.parametrize("text", ["1 1_0", "1 2d", "1 x", '1 "2 3"', "1 ٣", "1 0x10", "1 e5", "1 ."])
def test_what_only_a_programming_language_takes_for_a_number_is_refused(text: str) -> None:
    with pytest.raises(Unsupported, match="not a number"):
        real_array(fromstring(f'<Array type="real">{text}</Array>'))


def test_a_long_array_with_a_wrong_end_is_refused_at_once() -> None:
    numbers = " ".join(["12345678901234567890"] * 20_000)
    with pytest.raises(Unsupported, match="not a number"):
        real_array(fromstring(f'<Array type="real">{numbers} x</Array>'))
