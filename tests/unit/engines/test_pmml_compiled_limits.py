"""A model with parts that are not known exactly is not compiled: the evaluator scores it as before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from model_serving.engines.pmml import engine as pmml
from model_serving.engines.pmml.compiled.class_order import map_order
from model_serving.engines.pmml.compiled.model import CompiledModel
from model_serving.engines.pmml.compiled.reading import NotCompiled, check, number
from model_serving.engines.pmml.gateway import current_gateway
from tests.unit.engines.pmml_builders import (
    FIELDS,
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

    from model_serving.core.engine import LoadedModel

LEAF = '<Node score="3"><True/></Node>'
SHARES = '<ScoreDistribution value="3" recordCount="1"/><ScoreDistribution value="4" recordCount="3"/>'
TABLE = '<RegressionTable intercept="1"><NumericPredictor name="a" coefficient="2"/></RegressionTable>'
ROW = np.array([[1.0, 2.0, 3.0, "red", "round"]], dtype=object)


def split(first: str, attributes: str = "", node: str = "") -> bytes:
    inside = (
        f'<Node score="0" {node}><True/><Node score="1">{first}</Node>'
        '<Node score="2"><SimplePredicate field="a" operator="isNotMissing"/></Node></Node>'
    )
    return document(tree(inside, function="regression", attributes=attributes), numeric_target())


def linear(
    table: str = TABLE, schema: str = "", rest: str = "", fields: dict[str, str] | None = None
) -> bytes:
    model = f'<RegressionModel functionName="regression">{schema or mining()}{rest}{table}</RegressionModel>'
    return document(model, numeric_target(), fields)


def treated(name: str, attributes: str) -> bytes:
    return linear(schema=mining(extra={name: attributes}))


LOCAL = (
    '<LocalTransformations><DerivedField name="d" optype="continuous" dataType="double"><FieldRef field="a"/>'
    "</DerivedField></LocalTransformations>"
)
CHAINED = ensemble("modelChain", [tree(LEAF, function="regression")], function="regression")
SKIPPING = ensemble("average", [tree(LEAF, function="regression")], function="regression").replace(
    "<Segmentation ", '<Segmentation missingPredictionTreatment="skipSegment" '
)
CONDITIONAL = ensemble("average", [tree(LEAF, function="regression")] * 2, function="regression").replace(
    "<True/><TreeModel", f"{simple('a', 'lessThan', 9)}<TreeModel", 1
)
OWN_TREATMENT = ensemble(
    "average",
    [tree(LEAF, function="regression", schema=mining(extra={"a": 'missingValueReplacement="3"'}))],
    function="regression",
)
COMPOUND = '<CompoundPredicate booleanOperator="{}">{}</CompoundPredicate>'
QUOTED = '<SimpleSetPredicate field="shape" booleanOperator="isIn"><Array n="1" type="string">"a b"</Array>'
OUTPUT = (
    '<Output><OutputField name="o" feature="transformedValue" optype="continuous" dataType="double">'
    '<FieldRef field="a"/></OutputField></Output>'
)

LEFT_TO_JAVA = {
    "unknown model": (
        document(
            '<Scorecard functionName="regression" initialScore="0" useReasonCodes="false">'
            f'{mining()}<Characteristics><Characteristic name="c"><Attribute partialScore="1"><True/>'
            "</Attribute></Characteristic></Characteristics></Scorecard>",
            numeric_target(),
        ),
        "a Scorecard",
    ),
    "unlisted classes": (document(tree(LEAF), class_target(())), "the classes ()"),
    "weighted confidence": (
        split(simple("a", "lessThan", 1), 'missingValueStrategy="weightedConfidence"'),
        "the missing value strategy weightedConfidence",
    ),
    "penalty": (split("<True/>", 'missingValuePenalty="0.5"'), "a penalty for missing values"),
    "not scorable": (split("<True/>", 'isScorable="false"'), "a model that is not scorable"),
    "surrogate inside": (
        split(COMPOUND.format("and", COMPOUND.format("surrogate", simple("a", "lessThan", 1)))),
        "a surrogate inside of another predicate",
    ),
    "quoted set": (split(f"{QUOTED}</SimpleSetPredicate>"), "an array with quotes, or of another type"),
    "order of categories": (
        split(simple("colour", "lessThan", "white")),
        "the operator lessThan of colour",
    ),
    "Java number": (split(simple("a", "lessThan", "1d")), "'1d' for a number"),
    "infinite number": (split(simple("a", "lessThan", "1e999")), "'1e999' for a number"),
    "unknown attribute": (split("<True/>", node='x-magic="1"'), "Node with x-magic"),
    "model chain": (
        document(CHAINED, numeric_target()),
        "regression by modelChain, missing predictions continue",
    ),
    "skipped segments": (
        document(SKIPPING, numeric_target()),
        "regression by average, missing predictions skipSegment",
    ),
    "segments that may not count": (document(CONDITIONAL, numeric_target()), "SimplePredicate in Segment"),
    "a part's own treatment": (
        document(OWN_TREATMENT, numeric_target()),
        "MiningField with missingValueReplacement",
    ),
    "incomplete first leaf": (
        document(
            ensemble("average", [tree(LEAF, schema=mining(target=None)) for _ in range(2)]),
            class_target(("3", "4")),
        ),
        "a tree whose first leaf does not give every class a probability",
    ),
    "votes for numbers": (
        document(ensemble("majorityVote", [tree(LEAF)] * 2), class_target(("3", "4"), "integer")),
        "votes for classes that are numbers",
    ),
    "transformations": (linear(rest=LOCAL), "a model without a MiningSchema, or with transformations"),
    "transformed output": (linear(rest=OUTPUT), "FieldRef in OutputField"),
    "negative exponent": (
        linear(TABLE.replace("coefficient", 'exponent="-1" coefficient')),
        "the exponent -1",
    ),
    "category as a number": (
        linear(TABLE.replace('name="a"', 'name="colour"')),
        "the categorical field colour as a number",
    ),
    "field of dates": (
        linear(fields={"shape": '<DataField name="shape" optype="continuous" dataType="date"/>'}),
        "the field shape of optype continuous and dataType date",
    ),
    "categorical doubles": (
        linear(
            fields={"b": FIELDS["b"].replace("continuous", "categorical")},
            table=TABLE,
        ),
        "the field b of optype categorical and dataType float",
    ),
    "replacement that is not valid": (
        linear(
            schema=mining(extra={"a": 'missingValueReplacement="9"'}),
            fields={"a": FIELDS["a"].replace("/>", '><Value value="1"/></DataField>')},
        ),
        "the replacement 9.0, which is not valid",
    ),
    "invalid categories that are kept": (
        treated("colour", 'invalidValueTreatment="asIs"'),
        "invalid categories that are kept",
    ),
    "fraction for a whole number": (
        treated("n", 'missingValueReplacement="0.5"'),
        "'0.5' for a whole number",
    ),
}


@pytest.mark.parametrize(("content", "reason"), LEFT_TO_JAVA.values(), ids=LEFT_TO_JAVA.keys())
def test_the_evaluator_scores_what_is_not_known(
    load: Callable[..., LoadedModel], caplog: pytest.LogCaptureFixture, content: bytes, reason: str
) -> None:
    with caplog.at_level("INFO", pmml.__name__):
        model = load(ModelType.PMML, content, schema=SCHEMA)
    assert not isinstance(model, CompiledModel)
    said = [record.getMessage() for record in caplog.records if record.name == pmml.__name__]
    assert said == [f"The PMML model 'model' is scored in Java, because it has {reason}"]
    assert len(model.score(ROW).result) == 1


XOR = split(COMPOUND.format("xor", "<True/><False/>"))


def test_the_bare_library_takes_xor_for_false() -> None:
    # When this fails, the library is fixed, and xor does not need to be refused any more.
    gateway = current_gateway()
    model = gateway.load(XOR.decode())
    answer = json.loads(gateway.predict(model, '{"columns":["a"],"data":[[1.0]]}'))
    gateway.release(model)
    assert answer["data"] == [[2.0]]


def test_xor_is_refused(load: Callable[..., LoadedModel]) -> None:
    with pytest.raises(
        ModelRejected, match=r"^the PMML model has the predicate xor, which the evaluator gets"
    ):
        load(ModelType.PMML, XOR, schema=SCHEMA)


@pytest.mark.parametrize("text", ["", " 1", "1_0", "1d", "0x1p3", "nan", "inf", "1e400", "1,5", "٣", None])
def test_what_is_no_plain_number_is_not_guessed(text: str | None) -> None:
    with pytest.raises(NotCompiled, match="for a number"):
        number(text)


@pytest.mark.parametrize("text", ["1", "-1.5", "+.5", "2.", "1e-3", "1E+300", "-0"])
def test_plain_numbers(text: str) -> None:
    assert number(text) == float(text)


def test_extensions_and_statistics_change_nothing() -> None:
    element = fromstring("<Node><Extension x='1'><Any/></Extension><ModelStats/><True/></Node>")
    assert [child.tag for child in check(element, set(), {"True"})] == ["True"]
    with pytest.raises(NotCompiled, match="Partition in Node"):
        check(fromstring("<Node><Partition/></Node>"), set(), {"True"})


def test_classes_with_the_same_hash_have_no_known_order() -> None:
    # "Aa" and "BB" have the same hash code in Java.
    assert map_order(["Aa", "BB", "c", "d"]) == [0, 1, 2, 3]
    with pytest.raises(NotCompiled, match="the same hash"):
        map_order(["Aa", "BB", "c", "d", "e"])
