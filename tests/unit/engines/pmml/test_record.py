"""One record alone: scored in plain numbers, and left to the batch where those have no answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_serving.core.engine import RecordSchema
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines.limits import Limits
from model_serving.engines.pmml.engine import PmmlEngine
from model_serving.engines.pmml.evaluator.inputs import Inputs
from model_serving.engines.pmml.evaluator.models import walk
from model_serving.engines.pmml.evaluator.record import Record
from model_serving.runtime.environment import project_root
from tests.pmml_cases import columns_of, load_document
from tests.pmml_documents import assert_alone_as_together, document, score

SAMPLES = sorted((project_root() / "data" / "models").glob("*.pmml"))
WINE = RecordSchema(
    "WineRecord",
    (
        *("fixed_acidity", "volatile_acidity", "citric_acid", "residual_sugar", "chlorides"),
        *("free_sulfur_dioxide", "total_sulfur_dioxide", "density", "pH", "sulphates", "alcohol"),
    ),
)
RECORD = dict(
    zip(WINE.numeric, (7.4, 0.7, 0.0, 1.9, 0.076, 11.0, 34.0, 0.9978, 3.51, 0.56, 9.4), strict=True)
)


def regression_of(function: str) -> str:
    """Returns a regression over a function of the field x."""
    derived = (
        '<LocalTransformations><DerivedField name="d" dataType="double" optype="continuous">'
        f'<Apply function="{function}"><FieldRef field="x"/></Apply></DerivedField></LocalTransformations>'
    )
    line = '<RegressionTable intercept="1"><NumericPredictor name="d" coefficient="2"/></RegressionTable>'
    model = f'<RegressionModel functionName="regression">{{schema}}{derived}{line}</RegressionModel>'
    return document(model, {"x": "double", "y": "double"})


@pytest.mark.parametrize("path", SAMPLES, ids=[path.stem for path in SAMPLES])
def test_no_arrays_are_needed_for_one_record(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = path.read_bytes()
    model = PmmlEngine(Limits()).load(ModelToServe("wine", "m", ModelType.PMML, "1", "", content), WINE)
    one = np.array([[RECORD[name] for name in model.fields]])
    together = model.score(np.repeat(one, 9, axis=0))

    def refuse(*_: object) -> None:
        raise AssertionError("a batch is made")

    monkeypatch.setattr(Inputs, "batch", refuse)
    monkeypatch.setattr(Record, "of_batch", refuse)
    assert_alone_as_together(together, 0, model.score(one))


@pytest.mark.parametrize(
    ("function", "right"),
    [("exp", np.inf), ("sin", np.nan), ("floor", np.inf)],
)
def test_what_plain_numbers_refuse_is_what_the_batch_says(function: str, right: float) -> None:
    found = score(regression_of(function), [{"x": np.inf}, {"x": 0.0}])
    np.testing.assert_equal(found.result[0], right)
    assert np.isfinite(found.result[1])


def test_a_number_that_is_too_large_for_python_is_infinite() -> None:
    assert score(regression_of("exp"), [{"x": 1000.0}]).result[0] == np.inf


@pytest.mark.parametrize("most", [0, 1000])
@pytest.mark.parametrize("kind", ["double", "string"])
def test_a_tree_is_walked_alone_as_together(kind: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Trees with more than this number of ways stay in arrays.
    monkeypatch.setattr(walk, "_MOST_IN_LISTS", most)
    low, high = (
        f'<SimplePredicate field="x" operator="{operator}" value="3"/>' for operator in ("lessThan", "equal")
    )
    if kind == "string":
        low = low.replace("lessThan", "notEqual")
    tree = (
        '<TreeModel functionName="regression" missingValueStrategy="lastPrediction">{schema}'
        f'<Node score="0"><True/><Node score="1">{low}</Node><Node score="2">{high}</Node></Node></TreeModel>'
    )
    rows = [{"x": value} for value in ("3", "2", None, "7")]
    found = score(document(tree, {"x": kind, "y": "double"}), rows)
    np.testing.assert_equal(found.result, [2, 1, 0, np.nan if kind == "double" else 1])


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, "it has no value of 'x'"), (-1.0, "a value that the model derives from its fields")],
)
def test_a_record_alone_says_why_it_has_no_result(value: float | None, reason: str) -> None:
    content = regression_of("ln").encode()
    model = load_document(content)
    found = model.score(columns_of(model, content, [{"x": value}]))
    assert np.isnan(found.result[0])
    assert found.why is not None
    assert found.why(0).startswith(reason)


CLUSTERS = (
    '<ClusteringModel functionName="clustering" modelClass="centerBased" numberOfClusters="2">{schema}'
    '<ComparisonMeasure kind="distance"><euclidean/></ComparisonMeasure>'
    '<ClusteringField field="x"/><ClusteringField field="z"/>'
    '<Cluster id="a"><Array type="real">0 0</Array></Cluster>'
    '<Cluster id="b"><Array type="real">9 1</Array></Cluster></ClusteringModel>'
)
LOGISTIC = (
    '<RegressionModel functionName="classification" normalizationMethod="logit">{schema}'
    '<RegressionTable intercept="1" targetCategory="a"><NumericPredictor name="x" coefficient="2"/>'
    '</RegressionTable><RegressionTable intercept="0" targetCategory="b"/></RegressionModel>'
)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        (document(LOGISTIC, {"x": "integer: 1 2 3", "y": "string: a b"}), {"x": 7}),
        (regression_of("ln"), {"x": -1.0}),
        (document(CLUSTERS, {"x": "double", "z": "double", "y": "string"}), {"x": 9.0}),
        (document(CLUSTERS, {"x": "double", "z": "double", "y": "string"}), {}),
    ],
    ids=["invalid input", "function without a result", "a value is missing", "all values are missing"],
)
def test_a_record_that_fails_or_lacks_values_needs_no_arrays(
    text: str, row: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_document(text.encode())
    columns = columns_of(model, text.encode(), [row, {"x": 2.0, "z": 3.0}])
    together = model.score(columns)
    monkeypatch.setattr(Inputs, "batch", lambda *_: pytest.fail("a batch is made"))
    alone = model.score(columns[:1])
    assert alone.outputs.keys() == together.outputs.keys()
    assert_alone_as_together(together, 0, alone)


def test_a_part_that_asks_whether_another_is_valid_is_not_failed_by_it() -> None:
    derived = (
        '<LocalTransformations><DerivedField name="l" dataType="double" optype="continuous">'
        '<Apply function="ln"><FieldRef field="x"/></Apply></DerivedField>'
        '<DerivedField name="d" dataType="boolean" optype="categorical">'
        '<Apply function="isValid"><FieldRef field="l"/></Apply></DerivedField></LocalTransformations>'
    )
    line = '<RegressionTable intercept="1"><NumericPredictor name="d" coefficient="2"/></RegressionTable>'
    model = f'<RegressionModel functionName="regression">{{schema}}{derived}{line}</RegressionModel>'
    found = score(document(model, {"x": "double", "y": "double"}), [{"x": -1.0}, {"x": 2.0}])
    assert found.result.tolist() == [1.0, 3.0]
