"""A document that cannot be scored is refused in one line; deep documents and chosen segments score."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from model_serving.core.engine import LoadedModel, Scores
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from tests.unit.engines.nasty_documents import DEEP, RAISING, selecting
from tests.unit.engines.pmml_builders import SCHEMA, class_target, mining, numeric_target, simple, tree

Load = Callable[..., LoadedModel]
NAN = math.nan


def score(model: LoadedModel, *values: float) -> Scores:
    return model.score(np.array(values)[:, None].repeat(len(model.fields), axis=1))


@pytest.mark.parametrize("name", RAISING)
def test_a_document_that_cannot_be_scored_is_refused(load: Load, name: str) -> None:
    with pytest.raises(ModelRejected, match=r"^the PMML document has [^\n]+: export the model without it$"):
        load(ModelType.PMML, RAISING[name], schema=SCHEMA)


@pytest.mark.parametrize("name", DEEP)
def test_a_document_that_nests_deeply(load: Load, name: str) -> None:
    content, result = DEEP[name]
    assert score(load(ModelType.PMML, content, schema=SCHEMA), 0.0).result.tolist() == [result]


def test_numbers_beyond_a_double_are_infinite(load: Load) -> None:
    from tests.unit.engines.test_library_errors import REGRESSION

    model = load(
        ModelType.PMML, REGRESSION.replace(b'coefficient="2"', b'coefficient="1e308"'), schema=SCHEMA
    )
    np.testing.assert_array_equal(score(model, 0.0, 1e9).result, [1.0, math.inf])


BELOW_0 = simple("a", "lessThan", 0)
ODD = (
    '<Output><OutputField name="q" feature="probability" value="3" optype="continuous" dataType="double"/>'
    '<OutputField name="w" feature="transformedValue" optype="continuous" dataType="double">'
    '<Constant dataType="double">9</Constant></OutputField></Output>'
)
"""Outputs of a segment, which are not outputs of the model around it."""


def leaf(score: str, share: str = "", output: str = "", function: str = "classification") -> str:
    return tree(
        f'<Node score="{score}"><True/>{share}</Node>',
        schema=mining(("a",)),
        output=output,
        function=function,
    )


SHARE = '<ScoreDistribution value="3" recordCount="1"/>'


def first_of_classes(output: str = "", outer: str = "") -> bytes:
    return selecting(
        [(BELOW_0, leaf("3", SHARE, output)), (simple("a", "lessThan", 5), leaf("4"))],
        function="classification",
        target=class_target(),
        output=outer,
    )


@pytest.mark.parametrize("output", ["", ODD], ids=["no output", "outputs of its own"])
def test_the_first_segment_that_fits_answers_each_record(load: Load, output: str) -> None:
    model = load(ModelType.PMML, first_of_classes(output), schema=SCHEMA)
    for values in ((-1.0, 1.0, 9.0), (9.0, 1.0, -1.0), (1.0,), (-1.0,)):
        scores = score(model, *values)
        wanted = {-1.0: ("3", 3.0, 1.0), 1.0: ("4", 4.0, NAN), 9.0: ("", NAN, NAN)}
        assert scores.labels == [wanted[value][0] for value in values]
        np.testing.assert_array_equal(scores.result, [wanted[value][1] for value in values])
        np.testing.assert_array_equal(scores.outputs["probability_3"], [wanted[value][2] for value in values])


@pytest.mark.parametrize("outer", ["", '<Output><OutputField name="r" feature="predictedValue"/></Output>'])
def test_numbers_of_the_first_segment_that_fits(load: Load, outer: str) -> None:
    content = selecting(
        [
            (BELOW_0, leaf("7", output=ODD.replace("probability", "predictedValue"), function="regression")),
            ("<True/>", leaf("8", function="regression")),
        ],
        function="regression",
        target=numeric_target(),
        output=outer,
    )
    model = load(ModelType.PMML, content, schema=SCHEMA)
    assert score(model, -1.0, 1.0).result.tolist() == [7.0, 8.0]
    assert score(model, 1.0, -1.0).result.tolist() == [8.0, 7.0]
