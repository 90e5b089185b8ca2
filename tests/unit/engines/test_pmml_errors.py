"""A document that the evaluator fails on fails alone; an answer that would be wrong is not given."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from model_serving.core.engine import LoadedModel, Scores
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelType
from model_serving.engines.pmml.document import read_pmml
from model_serving.engines.pmml.gateway import current_gateway
from tests.unit.engines.nasty_documents import DEEP, RAISING, selecting
from tests.unit.engines.pmml_builders import SCHEMA, class_target, mining, numeric_target, simple, tree

Load = Callable[..., LoadedModel]
NAN = math.nan


def score(model: LoadedModel, *values: float) -> Scores:
    return model.score(np.array(values)[:, None].repeat(len(model.fields), axis=1))


@pytest.mark.parametrize("name", RAISING)
def test_a_document_that_the_evaluator_fails_on(load: Load, name: str) -> None:
    with pytest.raises((ModelRejected, ScoringFailed), match=r"^the (PMML|model)[^\n]+$"):
        score(load(ModelType.PMML, RAISING[name], schema=SCHEMA), 0.0, -3.0, NAN, 1e308)


@pytest.mark.parametrize("name", DEEP)
def test_a_document_that_nests_deeply(load: Load, name: str) -> None:
    content, result = DEEP[name]
    assert score(load(ModelType.PMML, content, schema=SCHEMA), 0.0).result.tolist() == [result]


def test_numbers_beyond_a_double_are_no_result(load: Load) -> None:
    from tests.unit.engines.test_library_errors import REGRESSION

    model = load(
        ModelType.PMML, REGRESSION.replace(b'coefficient="2"', b'coefficient="1e308"'), schema=SCHEMA
    )
    np.testing.assert_array_equal(score(model, 0.0, 1e9).result, [1.0, NAN])


BELOW_0 = simple("a", "lessThan", 0)
ODD = (
    '<Output><OutputField name="q" feature="probability" value="3" optype="continuous" dataType="double"/>'
    '<OutputField name="w" feature="transformedValue" optype="continuous" dataType="double">'
    '<Constant dataType="double">9</Constant></OutputField></Output>'
)
"""Outputs of a segment: the evaluator answers with these alone."""


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


def test_the_bare_evaluator_answers_with_other_columns_than_it_announces() -> None:
    """When a later version has fixed this, remove ``document._drop_outputs_of_selected``."""
    content = first_of_classes(ODD).decode()
    gateway = current_gateway()
    model = gateway.load(content)
    assert "q" not in [column.name for column in gateway.output_columns(model)]
    assert gateway.predict(model, '{"columns":["a"],"data":[[-1.0]]}') == (
        '{"columns":["q","w"],"data":[[1.0,9.0]]}'
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


def test_outputs_that_the_evaluator_does_not_answer_are_told(load: Load) -> None:
    model = load(ModelType.PMML, RAISING["outputs of an outer model that are not answered"], schema=SCHEMA)
    with pytest.raises(ScoringFailed) as failed:
        score(model, 0.0)
    assert str(failed.value) == (
        "the PMML evaluator answers with predicted_y, but the model has r, s: the model has parts that the "
        "evaluator gets wrong"
    )


def test_outputs_that_a_later_segment_takes_are_kept() -> None:
    chained = (
        f'<MiningModel functionName="regression">{mining(("a",))}<Segmentation '
        'multipleModelMethod="modelChain"><Segment><True/>{first}</Segment><Segment><True/>{last}</Segment>'
        "</Segmentation></MiningModel>"
    )
    inner = selecting(
        [("<True/>", leaf("7", output=ODD, function="regression"))],
        function="regression",
        target=numeric_target(),
    ).decode()
    start, end = inner.index("<MiningModel"), inner.index("</PMML>")
    model = inner[start:end]
    for first, last, kept in ((model, leaf("8", output=ODD), 2), (leaf("8", output=ODD), model, 1)):
        text = inner[:start] + chained.format(first=first, last=last) + "</PMML>"
        assert read_pmml(text.encode()).text.count("<Output>") == kept
