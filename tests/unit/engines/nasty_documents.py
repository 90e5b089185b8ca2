"""PMML documents that say too little or something that cannot be, and documents that are deeply nested."""

from __future__ import annotations

from tests.unit.engines.pmml_builders import class_target, document, mining, numeric_target, simple, tree

__all__ = ["DEEP", "RAISING", "selecting"]

_OF_A = mining(("a",))


def _derived(expression: str) -> str:
    return (
        '<LocalTransformations><DerivedField name="t" optype="continuous" dataType="double">'
        f"{expression}</DerivedField></LocalTransformations>"
    )


def _regression(expression: str = "", field: str = "a", function: str = "regression") -> str:
    return (
        f'<RegressionModel functionName="{function}">{_OF_A}{_derived(expression) if expression else ""}'
        f'<RegressionTable intercept="1"><NumericPredictor name="{field}" coefficient="2"/></RegressionTable>'
        "</RegressionModel>"
    )


def _expression(text: str) -> bytes:
    return document(_regression(text, "t"), numeric_target())


def _model(tag: str, attributes: str, body: str, target: str) -> bytes:
    return document(f"<{tag} {attributes}>{_OF_A}{body}</{tag}>", target)


def _segments(model: str, levels: int) -> str:
    for _ in range(levels):
        model = (
            f'<MiningModel functionName="regression">{_OF_A}<Segmentation multipleModelMethod="average">'
            f"<Segment><True/>{model}</Segment></Segmentation></MiningModel>"
        )
    return model


def selecting(segments: list[tuple[str, str]], *, function: str, target: str, output: str = "") -> bytes:
    """Returns a MiningModel whose first true segment answers; segments are (predicate, model)."""
    parts = "".join(
        f'<Segment id="{index}">{predicate}{model}</Segment>'
        for index, (predicate, model) in enumerate(segments)
    )
    return document(
        f'<MiningModel functionName="{function}">{_OF_A}{output}'
        f'<Segmentation multipleModelMethod="selectFirst">{parts}</Segmentation></MiningModel>',
        target,
    )


_LEVELS = 900
_COMPOUND = '<CompoundPredicate booleanOperator="and">'
_REGRESSION = 'functionName="regression"'
_CLASSIFICATION = 'functionName="classification"'
_ABC = '<Constant dataType="string">abc</Constant>'

RAISING = {
    "no parameter": _expression('<Apply function="+"/>'),
    "an unknown function": _expression('<Apply function="nope"><FieldRef field="a"/></Apply>'),
    "a field of itself": _expression('<FieldRef field="t"/>'),
    "an open pattern": _expression(
        f'<Apply function="matches">{_ABC}<Constant dataType="string">((</Constant></Apply>'
    ),
    "half a line": _expression('<NormContinuous field="a"><LinearNorm orig="0" norm="0"/></NormContinuous>'),
    "no table": _model("RegressionModel", _REGRESSION, "", numeric_target()),
    "one table for classes": document(_regression(function="classification"), class_target()),
    "no root": _model("TreeModel", _CLASSIFICATION, "", class_target()),
    "no layer": _model(
        "NeuralNetwork",
        f'{_REGRESSION} activationFunction="logistic"',
        "<NeuralInputs/><NeuralLayer/><NeuralOutputs/>",
        numeric_target(),
    ),
    "no neighbour": _model(
        "NearestNeighborModel", f'{_REGRESSION} numberOfNeighbors="0"', "", numeric_target()
    ),
    "no vector": _model("SupportVectorMachineModel", _REGRESSION, "", numeric_target()),
    "an empty characteristic": _model(
        "Scorecard", _REGRESSION, "<Characteristics><Characteristic/></Characteristics>", numeric_target()
    ),
    "no parameters": _model(
        "GeneralRegressionModel",
        f'{_REGRESSION} modelType="regression"',
        "<ParameterList/><PPMatrix/><ParamMatrix/>",
        numeric_target(),
    ),
    "too many models inside of each other": document(_segments(_regression(), 300), numeric_target()),
    "too many predicates inside of each other": document(
        tree(
            f'<Node score="3">{_COMPOUND * _LEVELS}{simple("a", "lessThan", 1)}<True/>'
            f"{'</CompoundPredicate>' * _LEVELS}</Node>",
            schema=_OF_A,
        ),
        class_target(),
    ),
    "no cluster": _model(
        "ClusteringModel",
        'functionName="clustering" modelClass="centerBased" numberOfClusters="0"',
        '<ComparisonMeasure kind="distance"><euclidean/></ComparisonMeasure><ClusteringField field="a"/>',
        numeric_target(),
    ),
}
"""Documents that are refused."""

DEEP = {
    "predicates": (
        document(
            tree(
                f'<Node score="3">{_COMPOUND * 90}{simple("a", "lessThan", 1)}<True/>'
                f"{'</CompoundPredicate>' * 90}</Node>",
                schema=_OF_A,
            ),
            class_target(),
        ),
        3.0,
    ),
    "expressions": (
        _expression(
            '<Apply function="+">' * _LEVELS
            + '<FieldRef field="a"/>'
            + '<Constant dataType="double">1</Constant></Apply>' * _LEVELS
        ),
        1.0 + 2.0 * _LEVELS,
    ),
    "segments": (document(_segments(_regression(), 40), numeric_target()), 1.0),
}
"""Documents nested nearly as deep as they may be, and their answers to a record of zeros."""
