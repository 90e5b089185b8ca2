"""Answers of compiled models that were worked out by hand, from the PMML standard."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from model_serving.core.engine import RecordSchema
from model_serving.core.messages import ModelType, OutputRule
from model_serving.engines.pmml.evaluator.model import EvaluatedModel
from tests.job_models import needs_seed_data, seed_data
from tests.unit.engines.pmml_builders import (
    SCHEMA,
    class_target,
    document,
    ensemble,
    mining,
    numeric_target,
    simple,
    tree,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_serving.core.engine import LoadedModel, Scores

    Load = Callable[..., LoadedModel]

NAN = math.nan
ROOT = Path(__file__).resolve().parents[4]
SMALL, LARGE = simple("a", "lessOrEqual", 1.5), simple("a", "greaterThan", 1.5)
LEAVES = (
    f'<Node score="4"><True/><Node score="3">{SMALL}<ScoreDistribution value="3" recordCount="3"/>'
    '<ScoreDistribution value="4" recordCount="1"/></Node>'
    f'<Node score="4">{LARGE}<ScoreDistribution value="4" recordCount="2"/></Node></Node>'
)


def scores(load: Load, content: bytes, *values: float, output: OutputRule = OutputRule.AUTO) -> Scores:
    """Scores for these values of the field ``a``; the others are 0, red and round."""
    model = load(ModelType.PMML, content, output=output, schema=SCHEMA)
    assert isinstance(model, EvaluatedModel)
    rows = np.array([[value, 0.0, 0.0, "red", "round"] for value in values], dtype=object)
    return model.score(rows)


def outputs(found: Scores) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in found.outputs.items()}


def test_a_tree(load: Load) -> None:
    found = scores(
        load, document(tree(LEAVES), class_target(("3", "4"))), 1.5, math.nextafter(1.5, 2), -math.inf
    )
    assert (found.result.tolist(), found.labels) == ([3.0, 4.0, 3.0], ["3", "4", "3"])
    assert outputs(found) == {
        "probability_3": [0.75, 0.0, 0.75],
        "probability_4": [0.25, 1.0, 0.25],
    }


def test_a_missing_value_leads_nowhere_or_to_what_the_strategy_says(load: Load) -> None:
    target = class_target(("3", "4"))
    for attributes, label in (
        ("", ""),
        ('missingValueStrategy="lastPrediction"', "4"),
        ('noTrueChildStrategy="returnLastPrediction"', "4"),
        ('missingValueStrategy="nullPrediction"', ""),
    ):
        found = scores(load, document(tree(LEAVES, attributes=attributes), target), NAN)
        assert found.labels == [label]
        np.testing.assert_array_equal(found.result, [float(label or "nan")])
        np.testing.assert_array_equal(found.outputs["probability_3"], [NAN])  # the root has no shares


def test_argmax_is_the_index_of_the_class(load: Load) -> None:
    content = document(tree(LEAVES), class_target(("4", "3")))
    found = scores(load, content, 1.0, 2.0, output=OutputRule.ARGMAX)
    assert (found.result.tolist(), found.labels) == ([1.0, 0.0], ["3", "4"])


def leaf(three: int, four: int) -> str:
    return tree(
        f'<Node score="3"><True/><ScoreDistribution value="3" recordCount="{three}"/>'
        f'<ScoreDistribution value="4" recordCount="{four}"/></Node>'
    )


@pytest.mark.parametrize(
    ("method", "share"),
    [("average", 0.5), ("weightedAverage", 0.55), ("median", 0.5), ("majorityVote", 1.0)],
)
def test_a_forest(load: Load, method: str, share: float) -> None:
    # Shares of class 3: 1/4 with weight 0.5, 3/4 with weight 0.75: (0.125 + 0.5625) / 1.25 = 0.55.
    content = document(ensemble(method, [leaf(1, 3), leaf(3, 1)]), class_target(("3", "4")))
    found = scores(load, content, 0.0)
    assert found.labels == ["3"]
    np.testing.assert_allclose(found.outputs["probability_3"], [share], rtol=1e-15)


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("sum", 7.0),
        ("average", 7 / 3),
        ("median", 2.0),
        ("weightedSum", 6.0),
        ("weightedAverage", 6.0 / 2.25),
    ],
)
def test_sums_of_trees(load: Load, method: str, result: float) -> None:
    trees = [tree(f'<Node score="{score}"><True/></Node>', function="regression") for score in (1, 2, 4)]
    content = document(ensemble(method, trees, function="regression"), numeric_target())
    np.testing.assert_allclose(scores(load, content, 0.0).result, [result], rtol=1e-15)


def test_a_regression_with_a_replacement_and_limits(load: Load) -> None:
    schema = mining(
        extra={"a": 'missingValueReplacement="2" outliers="asExtremeValues" lowValue="0" highValue="5"'}
    )
    targets = (
        '<Targets><Target field="y" rescaleFactor="2" rescaleConstant="1" castInteger="round"/></Targets>'
    )
    model = (
        f'<RegressionModel functionName="regression">{schema}{targets}<RegressionTable intercept="0.25">'
        '<NumericPredictor name="a" coefficient="0.5"/></RegressionTable></RegressionModel>'
    )
    # 2 × (0.25 + 0.5 a) + 1, rounded; halves go up.
    found = scores(load, document(model, numeric_target()), 1.0, NAN, 9.0, -9.0, 0.5)
    assert found.result.tolist() == [3.0, 4.0, 7.0, 2.0, 2.0]


def test_a_logistic_regression(load: Load) -> None:
    model = (
        f'<RegressionModel functionName="classification" normalizationMethod="logit">{mining()}'
        '<RegressionTable intercept="0" targetCategory="3"><NumericPredictor name="a" coefficient="1"/>'
        '</RegressionTable><RegressionTable intercept="0" targetCategory="4"/></RegressionModel>'
    )
    found = scores(load, document(model, class_target(("3", "4"))), math.log(3.0), -math.log(3.0), NAN)
    assert found.labels == ["3", "4", ""]
    np.testing.assert_allclose(found.outputs["probability_3"], [0.75, 0.25, NAN], rtol=1e-12)


def test_a_generalized_linear_model(load: Load) -> None:
    model = (
        '<GeneralRegressionModel functionName="regression" modelType="generalizedLinear" linkFunction="log">'
        f'{mining()}<ParameterList><Parameter name="p0"/><Parameter name="p1"/></ParameterList>'
        '<CovariateList><Predictor name="a"/></CovariateList>'
        '<PPMatrix><PPCell value="2" predictorName="a" parameterName="p1"/></PPMatrix><ParamMatrix>'
        '<PCell parameterName="p0" beta="1"/><PCell parameterName="p1" beta="0.5"/></ParamMatrix>'
        "</GeneralRegressionModel>"
    )
    # exp(1 + 0.5 a²); what is too large for a double is infinite.
    found = scores(load, document(model, numeric_target()), 2.0, 0.0, NAN, 1e9)
    np.testing.assert_allclose(found.result, [math.exp(3.0), math.e, NAN, math.inf], rtol=1e-12)


def test_a_network(load: Load) -> None:
    line = '<NormContinuous field="{}"><LinearNorm {}/><LinearNorm {}/></NormContinuous></DerivedField>'
    of_field = line.format("a", 'orig="0" norm="-1"', 'orig="4" norm="1"')
    of_target = line.format("y", 'orig="10" norm="0"', 'orig="20" norm="1"')
    derived = '<DerivedField optype="continuous" dataType="double">'
    model = (
        f'<NeuralNetwork functionName="regression" activationFunction="rectifier">{mining()}'
        f'<NeuralInputs><NeuralInput id="0">{derived}'
        f"{of_field}</NeuralInput></NeuralInputs>"
        '<NeuralLayer><Neuron id="1" bias="0.5"><Con from="0" weight="2"/></Neuron></NeuralLayer>'
        f'<NeuralOutputs><NeuralOutput outputNeuron="1">{derived}'
        f"{of_target}</NeuralOutput></NeuralOutputs>"
        "</NeuralNetwork>"
    )
    # a = 3 is 0.5, the neuron gives 1.5, which is 25; a = 0 is -1, the neuron gives 0, which is 10.
    found = scores(load, document(model, numeric_target()), 3.0, 0.0, NAN)
    np.testing.assert_allclose(found.result, [25.0, 10.0, NAN], rtol=1e-15)


def test_a_number_with_a_fraction_is_invalid_for_whole_numbers(load: Load) -> None:
    model = load(ModelType.PMML, document(tree(LEAVES), class_target(("3", "4"))), schema=SCHEMA)
    for value in (2.5, math.inf):
        found = model.score(np.array([[1.0, 2.0, value, "red", "round"]], dtype=object))
        np.testing.assert_array_equal(found.result, [NAN])


def test_a_batch_gives_what_its_rows_give_alone(load: Load) -> None:
    rng = np.random.default_rng(1)
    columns = rng.normal(6.0, 30.0, size=(700, 11))
    columns[rng.random(columns.shape) < 0.02] = np.nan
    for path in sorted((ROOT / "data" / "models").glob("wine_*.pmml")):
        model = load(ModelType.PMML, path.read_bytes(), schema=WINE)
        together = model.score(columns)
        for start, size in ((0, 1), (1, 7), (8, 9), (100, 600)):
            part = model.score(columns[start : start + size])
            assert part.labels == (together.labels and list(together.labels[start : start + size]))
            np.testing.assert_allclose(part.result, together.result[start : start + size], rtol=1e-12)
            for name, values in part.outputs.items():
                np.testing.assert_allclose(values, together.outputs[name][start : start + size], rtol=1e-12)


WINE = RecordSchema(
    "WineRecord",
    (
        *("fixed_acidity", "volatile_acidity", "citric_acid", "residual_sugar", "chlorides"),
        *("free_sulfur_dioxide", "total_sulfur_dioxide", "density", "pH", "sulphates", "alcohol"),
    ),
)


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "data" / "models").glob("*.pmml")))
def test_every_sample_model_is_compiled(load: Load, name: str) -> None:
    content = (ROOT / "data" / "models" / name).read_bytes()
    assert isinstance(load(ModelType.PMML, content, schema=WINE), EvaluatedModel)


@needs_seed_data
def test_every_seed_model_is_compiled(load: Load) -> None:
    paths = sorted(seed_data().glob("*.pmml"))
    kinds = {path.name: type(load(ModelType.PMML, path.read_bytes(), schema=WINE)) for path in paths}
    assert len(kinds) == 3
    assert set(kinds.values()) == {EvaluatedModel}
