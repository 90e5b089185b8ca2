"""What PMML4S may score in Java, it scores as the standard says; it is asked for nothing else."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from model_serving.core.engine import description_of
from model_serving.core.errors import ModelRejected
from model_serving.engines.pmml import engine as pmml_engine
from model_serving.engines.pmml.evaluator import scope
from model_serving.engines.pmml.java_rules import foreign_part
from tests.naive_pmml import Document
from tests.pmml_cases import load_document

if TYPE_CHECKING:
    from model_serving.core.engine import LoadedModel

NUMBERS = ("a", "b", "c")
FIELD = '<DataField name="{}" optype="continuous" dataType="double"/>'
DERIVED = '<DerivedField name="{}" optype="continuous" dataType="double">{}</DerivedField>'


@pytest.fixture(autouse=True)
def few_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets a bound on the fields that every document here is beyond."""
    monkeypatch.setattr(scope, "_MOST_FIELDS", 2)


def regression(rng: Random) -> bytes:
    """Returns a regression of the parts that Java may score."""

    def operand(names: list[str]) -> str:
        if rng.random() < 0.3:
            return f'<Constant dataType="double">{rng.gauss(0, 2):.3f}</Constant>'
        return f'<FieldRef field="{rng.choice(names)}"/>'

    names = list(NUMBERS)
    derived = ""
    for name in ("d", "e", "f"):
        made = f'<Apply function="{rng.choice("+-*")}">{operand(names)}{operand(names)}</Apply>'
        derived += DERIVED.format(name, made)
        names.append(name)
    terms = "".join(
        f'<NumericPredictor name="{name}" coefficient="{rng.gauss(0, 1):.4f}" exponent="{rng.choice("12")}"/>'
        for name in rng.sample(names, 4)
    )
    schema = "".join(f'<MiningField name="{name}"/>' for name in NUMBERS)
    return (
        '<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/><DataDictionary>'
        f"{''.join(FIELD.format(name) for name in (*NUMBERS, 'y'))}</DataDictionary>"
        f"<TransformationDictionary>{derived}</TransformationDictionary>"
        f'<RegressionModel functionName="regression"><MiningSchema>{schema}'
        '<MiningField name="y" usageType="target"/></MiningSchema>'
        f'<RegressionTable intercept="{rng.gauss(0, 1):.4f}">{terms}</RegressionTable>'
        "</RegressionModel></PMML>"
    ).encode()


def score(model: LoadedModel, rows: list[list[float]]) -> list[float]:
    found: list[float] = model.score(np.array(rows)).result.tolist()
    return found


@pytest.mark.parametrize("seed", range(12))
def test_a_regression_beyond_the_bounds_gives_what_the_standard_says(seed: int) -> None:
    rng = Random(seed)
    content = regression(rng)
    model = load_document(content)
    try:
        assert description_of(model).evaluator == "PMML4S in Java"
        rows = [
            [math.nan if rng.random() < 0.1 else round(rng.gauss(0, 3), 2) for _ in NUMBERS]
            for _ in range(310)
        ]
        naive = Document(content.replace(b' xmlns="http://www.dmg.org/PMML-4_4"', b""))
        wanted = [
            naive.answer(
                {name: None if math.isnan(value) else value for name, value in zip(NUMBERS, row, strict=True)}
            ).value
            for row in rows
        ]
        right = np.array(wanted, dtype=np.float64)
        np.testing.assert_allclose(score(model, rows), right, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(score(model, rows[:1]), right[:1], rtol=1e-9, atol=1e-12)
    finally:
        model.close()


def with_part(old: str, new: str) -> bytes:
    return regression(Random(1)).decode().replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (with_part('function="', 'function="max" x="'), "function 'max' of Apply"),
        (with_part("<RegressionTable", "<Targets/><RegressionTable"), "the element Targets"),
        (
            with_part(
                '"a" optype="continuous" dataType="double"', '"a" optype="continuous" dataType="integer"'
            ),
            "dataType 'integer' of DataField",
        ),
        (
            with_part('<MiningField name="a"', '<MiningField name="a" missingValueReplacement="1"'),
            "missingValueReplacement '1' of MiningField",
        ),
    ],
    ids=["function", "element", "type", "treatment"],
)
def test_any_other_part_keeps_a_document_out_of_java(content: bytes, part: str) -> None:
    assert foreign_part(_without_namespace(content)) == part
    with pytest.raises(ModelRejected) as caught:
        load_document(content)
    assert str(caught.value) == (
        f"the PMML document has more than 2 fields, and {part} besides, which only models within that bound "
        "may have: use a smaller model"
    )


def _without_namespace(content: bytes) -> ET.Element:
    return ET.fromstring(content.replace(b' xmlns="http://www.dmg.org/PMML-4_4"', b""))


def test_without_the_extra_only_such_a_document_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pmml_engine, "find_spec", lambda _: None)
    with pytest.raises(ModelRejected) as caught:
        load_document(regression(Random(1)))
    assert str(caught.value) == (
        "the PMML document has more than 2 fields, so only Java can score it: pip install "
        "'flink-model-serving[pmml]' where the job runs, then publish the model again"
    )
    monkeypatch.setattr(scope, "_MOST_FIELDS", 100)
    assert description_of(load_document(regression(Random(1)))).evaluator == "compiled to numpy"
