"""Compiled models and the evaluator: an engine uses a compiled model only if the two agree on all rows.

``test_pmml_compiled_agreement`` tests that the comparison finds differences, ``test_pmml_compiled_answers``
tests answers without the evaluator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from model_serving.core.messages import ModelType
from model_serving.engines.pmml.compiled import agreement
from model_serving.engines.pmml.compiled.model import CompiledModel
from tests.unit.engines.pmml_builders import (
    CLASSES,
    FIELDS,
    SCHEMA,
    RandomTrees,
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

    from model_serving.core.engine import LoadedModel

    Compiles = Callable[[bytes], CompiledModel]

TABLE = (
    '<RegressionTable intercept="{intercept}" {category}><NumericPredictor name="a" coefficient="{slope}"/>'
    '<NumericPredictor name="n" coefficient="-0.25" exponent="2"/>'
    '<CategoricalPredictor name="colour" value="red" coefficient="2"/>'
    '<CategoricalPredictor name="shape" value="round" coefficient="-1"/>'
    '<CategoricalPredictor name="b" value="0.5" coefficient="3"/>'
    '<PredictorTerm coefficient="0.5"><FieldRef field="a"/><FieldRef field="b"/></PredictorTerm>'
    "</RegressionTable>"
)
TRIVIAL = '<RegressionTable intercept="0" targetCategory="{}"/>'


@pytest.fixture(autouse=True)
def all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine too."""
    monkeypatch.setattr(agreement, "_SECONDS", 60.0)


@pytest.fixture
def compiles(load: Callable[..., LoadedModel], caplog: pytest.LogCaptureFixture) -> Compiles:
    """Loads a document and checks that it is compiled."""

    def load_compiled(content: bytes) -> CompiledModel:
        with caplog.at_level("INFO", "model_serving.engines.pmml.engine"):
            model = load(ModelType.PMML, content, schema=SCHEMA)
        assert isinstance(model, CompiledModel), caplog.text
        return model

    return load_compiled


STRATEGIES = [
    f'missingValueStrategy="{missing}" noTrueChildStrategy="{none}"'
    for missing in ("none", "lastPrediction", "nullPrediction", "defaultChild")
    for none in ("returnNullPrediction", "returnLastPrediction")
]


@pytest.mark.parametrize("attributes", STRATEGIES)
@pytest.mark.parametrize("classes", [None, CLASSES[:2], CLASSES], ids=["numbers", "2 classes", "5 classes"])
def test_random_trees(compiles: Compiles, attributes: str, classes: tuple[str, ...] | None) -> None:
    function = "regression" if classes is None else "classification"
    for seed in range(3):
        node = RandomTrees(np.random.default_rng(seed), classes, ids=True).node(5)
        content = tree(node, function=function, attributes=attributes)
        compiles(document(content, numeric_target() if classes is None else class_target(classes)))


@pytest.mark.parametrize("data_type", ["string", "integer", "double"])
def test_classes_of_every_type(compiles: Compiles, data_type: str) -> None:
    node = RandomTrees(np.random.default_rng(7), CLASSES).node(4)
    compiles(document(tree(node), class_target(data_type=data_type)))


def compound(operator: str, parts: str) -> str:
    return f'<CompoundPredicate booleanOperator="{operator}">{parts}</CompoundPredicate>'


PREDICATES = [
    *(
        simple(field, f"{operator}", 0.5)
        for field in ("a", "b", "n")
        for operator in ("lessThan", "lessOrEqual")
    ),
    *(simple("a", operator, -1.25) for operator in ("greaterThan", "greaterOrEqual", "equal", "notEqual")),
    *(simple("a", operator, 0) for operator in ("lessThan", "lessOrEqual", "equal")),
    *(simple("a", operator, "1e308") for operator in ("lessThan", "greaterOrEqual", "equal")),
    *(simple("colour", operator, word) for operator in ("equal", "notEqual") for word in ("red", "green")),
    *(simple("shape", operator, "round") for operator in ("equal", "notEqual")),
    *(f'<SimplePredicate field="{field}" operator="isMissing"/>' for field in FIELDS),
    *(f'<SimplePredicate field="{field}" operator="isNotMissing"/>' for field in FIELDS),
    *(
        f'<SimpleSetPredicate field="{field}" booleanOperator="{operator}">'
        f'<Array n="2" type="{kind}">{words}</Array></SimpleSetPredicate>'
        for operator in ("isIn", "isNotIn")
        for field, kind, words in (
            ("colour", "string", "red green"),
            ("shape", "string", "round flat"),
            ("n", "int", "-1 2"),
            ("a", "real", "0.5 1e3"),
        )
    ),
    '<SimpleSetPredicate field="a" booleanOperator="isNotIn"><Array n="0" type="real"/></SimpleSetPredicate>',
    "<True/>",
    "<False/>",
    *(
        compound(operator, simple("a", "lessThan", 0.5) + rest)
        for operator in ("and", "or", "surrogate")
        for rest in (
            simple("b", "greaterThan", 0),
            "<True/>",
            "<False/>",
            simple("n", "equal", 1) + simple("colour", "equal", "red"),
            compound("or", simple("b", "equal", 0) + simple("n", "lessThan", 2)),
        )
    ),
]


@pytest.mark.parametrize("predicate", PREDICATES)
def test_every_predicate(compiles: Compiles, predicate: str) -> None:
    # What comes after tells false from unknown.
    node = (
        f'<Node score="0"><True/><Node score="1">{predicate}</Node>'
        f'<Node score="2">{simple("a", "lessThan", 0)}</Node></Node>'
    )
    attributes = 'missingValueStrategy="lastPrediction"'
    compiles(document(tree(node, function="regression", attributes=attributes), numeric_target()))


@pytest.mark.parametrize("own_target", ["y", None])
@pytest.mark.parametrize("classes", [CLASSES[:3], CLASSES], ids=["3 classes", "5 classes"])
@pytest.mark.parametrize(
    "method", ["average", "weightedAverage", "median", "majorityVote", "weightedMajorityVote"]
)
def test_classifying_ensembles(
    compiles: Compiles, method: str, classes: tuple[str, ...], own_target: str | None
) -> None:
    trees = RandomTrees(np.random.default_rng(3), classes)
    for size in (1, 2, 5):
        parts = [tree(trees.node(3), schema=mining(target=own_target)) for _ in range(size)]
        compiles(document(ensemble(method, parts), class_target(classes)))


@pytest.mark.parametrize("method", ["average", "weightedAverage", "median", "sum", "weightedSum"])
@pytest.mark.parametrize("own_target", ["y", None])
def test_numeric_ensembles(compiles: Compiles, method: str, own_target: str | None) -> None:
    trees = RandomTrees(np.random.default_rng(4), None)
    for size in (1, 2, 5):
        schema = mining(target=own_target)
        parts = [tree(trees.node(3), function="regression", schema=schema) for _ in range(size)]
        compiles(document(ensemble(method, parts, function="regression"), numeric_target()))


def test_equal_votes_go_to_the_class_that_the_evaluator_looks_at_first(compiles: Compiles) -> None:
    for size in range(2, 12):
        labels = [str(100 + 7 * index) for index in range(size)]
        leaves = [tree(f'<Node score="{label}"><True/></Node>') for label in labels]
        compiles(document(ensemble("majorityVote", leaves), class_target(labels)))


@pytest.mark.parametrize(
    "rescaling",
    [
        'rescaleFactor="2" rescaleConstant="-1"',
        'min="0" max="1"',
        *(f'rescaleFactor="3" castInteger="{cast}"' for cast in ("round", "ceiling", "floor")),
    ],
)
def test_rescaled_targets(compiles: Compiles, rescaling: str) -> None:
    targets = f'<Targets><Target field="y" {rescaling}/></Targets>'
    trees = RandomTrees(np.random.default_rng(5), None)
    parts = [tree(trees.node(3), function="regression") for _ in range(3)]
    content = ensemble("sum", parts, function="regression", rest=targets)
    compiles(document(content, numeric_target()))


RESTRICTIONS = {
    "free": "",
    "interval": '<Interval closure="openClosed" leftMargin="-1" rightMargin="1"/>',
    "intervals": (
        '<Interval closure="closedOpen" rightMargin="0"/><Interval closure="closedClosed" leftMargin="1"/>'
    ),
    "values": '<Value value="1"/><Value value="2"/><Value value="0"/>',
    "missing and invalid": '<Value value="-1" property="missing"/><Value value="2" property="invalid"/>',
}
REPLACEMENTS = {"a": "1", "n": "1", "colour": "red", "shape": "round"}


@pytest.mark.parametrize("restriction", RESTRICTIONS.values(), ids=RESTRICTIONS.keys())
@pytest.mark.parametrize("field", REPLACEMENTS)
@pytest.mark.parametrize(
    "attributes",
    [
        "",
        'missingValueReplacement="{}"',
        'missingValueTreatment="returnInvalid"',
        'missingValueTreatment="asIs" invalidValueTreatment="asMissing"',
        'invalidValueTreatment="asMissing" missingValueReplacement="{}"',
        'invalidValueTreatment="asValue" invalidValueReplacement="{}"',
    ],
)
def test_treatments_of_values(compiles: Compiles, field: str, attributes: str, restriction: str) -> None:
    treats(compiles, field, attributes.format(REPLACEMENTS[field]), restriction)


@pytest.mark.parametrize("restriction", RESTRICTIONS.values(), ids=RESTRICTIONS.keys())
@pytest.mark.parametrize(
    "attributes",
    [
        'invalidValueTreatment="asIs"',
        'outliers="asMissingValues" lowValue="-0.5" highValue="0.5"',
        'outliers="asExtremeValues" lowValue="0" highValue="1"',
        'outliers="asMissingValues" lowValue="0" highValue="1" missingValueReplacement="1"',
    ],
)
def test_outliers(compiles: Compiles, attributes: str, restriction: str) -> None:
    if restriction == RESTRICTIONS["intervals"]:
        attributes = attributes.replace('"0"', '"-1"')
    treats(compiles, "a", attributes, restriction)


def treats(compiles: Compiles, field: str, attributes: str, restriction: str) -> None:
    restricted = {
        name: FIELDS[name].replace("/>", f">{restriction}</DataField>") for name in ("a", "n") if restriction
    }
    schema = mining(extra={field: attributes})
    table = TABLE.format(intercept=1, slope=0.5, category="")
    model = f'<RegressionModel functionName="regression">{schema}{table}</RegressionModel>'
    compiles(document(model, numeric_target(), restricted))
    trees = RandomTrees(np.random.default_rng(6), None)
    parts = [tree(trees.node(3), function="regression") for _ in range(3)]
    content = ensemble("sum", parts, function="regression").replace(mining(), schema, 1)
    compiles(document(content, numeric_target(), restricted))


@pytest.mark.parametrize("method", ["none", "softmax", "logit", "exp", "probit", "cloglog", "cauchit"])
@pytest.mark.parametrize("target", ["double", "float", "integer"])
def test_regressions(compiles: Compiles, method: str, target: str) -> None:
    table = TABLE.format(intercept=0.75, slope=-1.5, category="")
    model = (
        f'<RegressionModel functionName="regression" normalizationMethod="{method}">{mining()}{table}'
        "</RegressionModel>"
    )
    compiles(document(model, numeric_target(target)))


@pytest.mark.parametrize("method", ["softmax", "simplemax", "none"])
@pytest.mark.parametrize("classes", [CLASSES[:2], CLASSES[:3], CLASSES], ids=["2", "3", "5"])
def test_multinomial_regressions(compiles: Compiles, method: str, classes: tuple[str, ...]) -> None:
    tables = [
        TABLE.format(intercept=0.3 * index, slope=0.5 - index, category=f'targetCategory="{label}"')
        for index, label in enumerate(reversed(classes))
    ]
    model = (
        f'<RegressionModel functionName="classification" normalizationMethod="{method}">{mining()}'
        f"{''.join(tables)}</RegressionModel>"
    )
    compiles(document(model, class_target(classes)))


@pytest.mark.parametrize("method", ["logit", "probit", "cloglog", "loglog", "cauchit", "softmax"])
@pytest.mark.parametrize("trivial", ["first", "last", "none"])
def test_binary_regressions(compiles: Compiles, method: str, trivial: str) -> None:
    tables = [
        # Nothing smooth: beside a tie the last bit of an exponential function decides.
        TABLE.format(intercept=0.53 * index, slope=1.17, category=f'targetCategory="{label}"')
        for index, label in enumerate(("3", "4"))
    ]
    if trivial == "first":
        tables[0] = TRIVIAL.format("3")
    elif trivial == "last":
        tables[1] = TRIVIAL.format("4")
    model = (
        f'<RegressionModel functionName="classification" normalizationMethod="{method}">{mining()}'
        f"{''.join(tables)}</RegressionModel>"
    )
    compiles(document(model, class_target(("3", "4"))))


def general(kind: str, function: str = "regression", category: str = "") -> str:
    cells = "".join(
        f'<PPCell value="{value}" predictorName="{field}" parameterName="{parameter}"/>'
        for value, field, parameter in (
            ("1", "a", "p1"),
            ("2", "b", "p2"),
            ("red", "colour", "p3"),
            ("1", "a", "p4"),
            ("1", "b", "p4"),
            ("white", "colour", "p4"),
        )
    )
    betas = "".join(
        f'<PCell parameterName="p{index}" beta="{beta}" df="1" {category}/>'
        for index, beta in enumerate((0.25, -0.5, 0.125, 1.0, 0.75))
    )
    parameters = "".join(f'<Parameter name="p{index}" label="x"/>' for index in range(5))
    return (
        f'<GeneralRegressionModel functionName="{function}" {kind}>{mining()}'
        f"<ParameterList>{parameters}</ParameterList>"
        '<FactorList><Predictor name="colour"/></FactorList>'
        '<CovariateList><Predictor name="a"/><Predictor name="b"/></CovariateList>'
        f"<PPMatrix>{cells}</PPMatrix><ParamMatrix>{betas}</ParamMatrix></GeneralRegressionModel>"
    )


LINKS = ("identity", "log", "logit", "probit", "cloglog", "loglog", "logc")


@pytest.mark.parametrize(
    "kind",
    [
        'modelType="regression"',
        'modelType="generalLinear"',
        *(f'modelType="generalizedLinear" distribution="normal" linkFunction="{link}"' for link in LINKS),
        *(
            f'modelType="generalizedLinear" distribution="gamma" linkFunction="power" linkParameter="{power}"'
            for power in ("2", "-1", "0", "0.5")
        ),
        'modelType="generalizedLinear" linkFunction="log" offsetValue="0.5" trialsValue="3"',
    ],
)
def test_general_regressions(compiles: Compiles, kind: str) -> None:
    compiles(document(general(kind), numeric_target()))


@pytest.mark.parametrize("category", ["3", "4"])
@pytest.mark.parametrize("link", LINKS)
def test_binomial_regressions(compiles: Compiles, link: str, category: str) -> None:
    kind = f'modelType="generalizedLinear" distribution="binomial" linkFunction="{link}"'
    model = general(kind, "classification", f'targetCategory="{category}"')
    compiles(document(model, class_target(("3", "4"))))


ACTIVATIONS = (
    *("threshold", "logistic", "tanh", "identity", "exponential", "reciprocal", "square", "Gauss"),
    *("Elliott", "arctan", "rectifier"),
)
DOWN = '<LinearNorm orig="0" norm="1"/><LinearNorm orig="2" norm="0"/>'
NORMS = '<LinearNorm orig="-1" norm="0"/><LinearNorm orig="0.5" norm="0.25"/><LinearNorm orig="1" norm="1"/>'


def network(
    function: str, attributes: str, outputs: str, neurons: int, outliers: str = "asIs", last: str = ""
) -> str:
    derived = '<DerivedField optype="continuous" dataType="double">{}</DerivedField>'
    expressions = (
        f'<NormContinuous field="a" outliers="{outliers}">{NORMS}</NormContinuous>',
        f'<NormContinuous field="b" mapMissingTo="0.5">{DOWN}</NormContinuous>',
        '<FieldRef field="n"/>',
        '<NormDiscrete field="colour" value="red"/>',
        '<NormDiscrete field="shape" value="round" mapMissingTo="0.25"/>',
    )
    inputs = "".join(
        f'<NeuralInput id="0,{index}">{derived.format(expression)}</NeuralInput>'
        for index, expression in enumerate(expressions)
    )
    rng = np.random.default_rng(11)

    def layer(depth: int, size: int, before: int, more: str = "") -> str:
        made = ""
        for index in range(size):
            weights = "".join(
                f'<Con from="{depth - 1},{source}" weight="{rng.normal():.6g}"/>' for source in range(before)
            )
            made += f'<Neuron id="{depth},{index}" bias="{rng.normal():.6g}">{weights}</Neuron>'
        return f"<NeuralLayer {more}>{made}</NeuralLayer>"

    return (
        f'<NeuralNetwork functionName="{function}" {attributes}>{mining()}'
        f"<NeuralInputs>{inputs}</NeuralInputs>"
        f"{layer(1, 4, 5)}{layer(2, neurons, 4, last)}"
        f"<NeuralOutputs>{outputs}</NeuralOutputs></NeuralNetwork>"
    )


def class_outputs(labels: tuple[str, ...]) -> str:
    return "".join(
        f'<NeuralOutput outputNeuron="2,{index}"><DerivedField optype="categorical" dataType="string">'
        f'<NormDiscrete field="y" value="{label}"/></DerivedField></NeuralOutput>'
        for index, label in enumerate(labels)
    )


def number_output(expression: str) -> str:
    return (
        '<NeuralOutput outputNeuron="2,0"><DerivedField optype="continuous" dataType="double">'
        f"{expression}</DerivedField></NeuralOutput>"
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_networks_with_every_activation(compiles: Compiles, activation: str) -> None:
    attributes = f'activationFunction="{activation}"'
    last = 'activationFunction="identity"'
    content = network("regression", attributes, number_output('<FieldRef field="y"/>'), 1, last=last)
    compiles(document(content, numeric_target()))


@pytest.mark.parametrize("outliers", ["asIs", "asMissingValues", "asExtremeValues"])
def test_networks_that_denormalize(compiles: Compiles, outliers: str) -> None:
    expression = f'<NormContinuous field="y" outliers="{outliers}">{NORMS}</NormContinuous>'
    attributes = 'activationFunction="tanh"'
    content = network("regression", attributes, number_output(expression), 1, outliers)
    compiles(document(content, numeric_target()))


@pytest.mark.parametrize("normalization", ["none", "simplemax", "softmax"])
@pytest.mark.parametrize(
    ("neurons", "classes"), [(2, CLASSES[:2]), (1, CLASSES[:2]), (3, CLASSES[:3]), (5, CLASSES), (4, CLASSES)]
)
def test_classifying_networks(
    compiles: Compiles, normalization: str, neurons: int, classes: tuple[str, ...]
) -> None:
    attributes = 'activationFunction="logistic"'
    last = f'normalizationMethod="{normalization}"'
    outputs = class_outputs(tuple(reversed(classes))[:neurons])
    compiles(
        document(network("classification", attributes, outputs, neurons, last=last), class_target(classes))
    )


OUTPUTS = (
    "<Output>"
    '<OutputField name="says" feature="predictedValue" optype="categorical" dataType="string"/>'
    '<OutputField name="shown" feature="predictedDisplayValue" optype="categorical" dataType="string"/>'
    '<OutputField name="p of 7" feature="probability" value="7" optype="continuous" dataType="double"/>'
    '<OutputField name="sure" feature="confidence" optype="continuous" dataType="double"/>'
    '<OutputField name="p" feature="probability" optype="continuous" dataType="double"/>'
    '<OutputField name="node" feature="entityId" optype="categorical" dataType="string"/></Output>'
)


def test_outputs_of_a_tree(compiles: Compiles) -> None:
    node = RandomTrees(np.random.default_rng(8), CLASSES, ids=True).node(4)
    node = node.replace('recordCount="1"', 'recordCount="1" confidence="0.125"')
    model = compiles(document(tree(node, output=OUTPUTS), class_target()))
    scores = model.score(np.array([[0.5, 1.0, 2.0, "red", "round"]], dtype=object))
    assert list(scores.outputs) == [
        "p of 7",
        "sure",
        "p",
        *(f"probability_{label}" for label in CLASSES if label != "7"),
    ]
