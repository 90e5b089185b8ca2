"""Small documents in the spellings of real exporters, with answers worked out by hand from the standard."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from tests.pmml_cases import columns_of, load_document

X = '<DataField name="x" optype="continuous" dataType="double"/>'
TEXT = '<DataField name="s" optype="categorical" dataType="string"/>'
NUMBER = '<DataField name="y" optype="continuous" dataType="double"/>'
TARGET = '<MiningField name="y" usageType="target"/>'
OF_X = f'<MiningSchema><MiningField name="x"/>{TARGET}</MiningSchema>'
OF_TEXT = f'<MiningSchema><MiningField name="s"/>{TARGET}</MiningSchema>'
SLOPE = '<RegressionTable intercept="1"><NumericPredictor name="x" coefficient="2"/></RegressionTable>'
EXTENSION = (
    '<Extension name="a" value="b" extender="ADAPA"><X-part xmlns="urn:z" at="1"><row/>text</X-part>'
    "</Extension>"
)


def document(
    fields: str, model: str, *, version: str = "4.4", attributes: str = "", encoding: str = "UTF-8"
) -> bytes:
    space = f"http://www.dmg.org/PMML-{version.replace('.', '_')}"
    return (
        f'<?xml version="1.0" encoding="{encoding}"?>\n<PMML version="{version}" xmlns="{space}" '
        f"{attributes}><Header/><DataDictionary>{fields}</DataDictionary>{model}</PMML>"
    ).encode(encoding)


def line(table: str = SLOPE, *, rest: str = "", schema: str = OF_X, attributes: str = "") -> str:
    return f'<RegressionModel functionName="regression" {attributes}>{schema}{rest}{table}</RegressionModel>'


def only(expression: str, data_type: str = "double") -> str:
    """Returns a model that gives an expression over ``x``."""
    derived = f'<DerivedField name="d" optype="continuous" dataType="{data_type}">{expression}</DerivedField>'
    table = '<RegressionTable intercept="0"><NumericPredictor name="d" coefficient="1"/></RegressionTable>'
    return line(table, rest=f"<LocalTransformations>{derived}</LocalTransformations>")


def choice(predicate: str, schema: str = OF_X, attributes: str = "") -> str:
    """Returns a tree that gives 1 where a predicate is true, else 2."""
    return (
        f'<TreeModel functionName="regression" {attributes}>{schema}<Node score="0"><True/>'
        f'<Node score="1">{predicate}</Node><Node score="2"><True/></Node></Node></TreeModel>'
    )


def among(array: str) -> str:
    return choice(
        f'<SimpleSetPredicate field="s" booleanOperator="isIn">{array}</SimpleSetPredicate>', OF_TEXT
    )


@dataclass(frozen=True, slots=True)
class Known:
    """A document with rows (values of ``x``, or of the text ``s``) and their results: None is no result."""

    content: bytes
    rows: tuple[float | str | None, ...]
    results: tuple[float | None, ...]
    name: str = field(default="x")


def texts(model: str, rows: tuple[str, ...], results: tuple[float, ...]) -> Known:
    return Known(document(TEXT + NUMBER, model), rows, results, "s")


def numbers(model: str, *pairs: tuple[float | None, float | None], fields: str = X + NUMBER) -> Known:
    return Known(document(fields, model), tuple(row for row, _ in pairs), tuple(one for _, one in pairs))


def intercept(text: str) -> str:
    return line(f'<RegressionTable intercept="{text}"/>')


def target(said: str, more: str = "") -> str:
    return line(rest=f'<Targets>{EXTENSION}<Target field="y" {said}>{more}</Target></Targets>')


def constant(text: str) -> str:
    return only(
        f'<Apply function="max"><Constant dataType="double">{text}</Constant><FieldRef field="x"/></Apply>'
    )


WITH_EXTENSIONS = (
    f'<RegressionModel functionName="regression">{EXTENSION}<MiningSchema>{EXTENSION}<MiningField name="x">'
    f'{EXTENSION}</MiningField><MiningField name="y" usageType="predicted">{EXTENSION}</MiningField>'
    f'</MiningSchema><Output>{EXTENSION}<OutputField name="p" feature="predictedValue">{EXTENSION}'
    f"</OutputField></Output><ModelStats>{EXTENSION}</ModelStats><ModelExplanation/><LocalTransformations>{EXTENSION}"
    f'<DerivedField name="d" optype="continuous" dataType="double">{EXTENSION}<Apply function="*">{EXTENSION}'
    f'<FieldRef field="x">{EXTENSION}</FieldRef><Constant>3</Constant></Apply></DerivedField>'
    f'</LocalTransformations><RegressionTable intercept="1">{EXTENSION}<NumericPredictor name="d" '
    f'coefficient="2">{EXTENSION}</NumericPredictor></RegressionTable></RegressionModel>{EXTENSION}'
)
BINS = (
    '<Discretize field="x" mapMissingTo="9" defaultValue="8" dataType="double"><DiscretizeBin binValue="1">'
    '<Interval closure="openClosed" leftMargin="0" rightMargin="1"/></DiscretizeBin>'
    '<DiscretizeBin binValue="2"><Interval closure="openOpen" leftMargin="1"/></DiscretizeBin></Discretize>'
)
NORM = (
    '<NormContinuous field="x" outliers="asExtremeValues" mapMissingTo="9"><LinearNorm orig="0" norm="0"/>'
    '<LinearNorm orig="10" norm="1"/><LinearNorm orig="20" norm="5"/></NormContinuous>'
)
BOUNDED = X.replace("/>", '><Interval closure="closedOpen" leftMargin="0" rightMargin="10"/></DataField>')


def treated(said: str) -> str:
    return line(schema=f'<MiningSchema><MiningField name="x" {said}/>{TARGET}</MiningSchema>')


def dated(data_type: str) -> str:
    return f'<DataField name="s" optype="continuous" dataType="{data_type}"/>'


def day(data_type: str, text: str, result: float) -> Known:
    table = '<RegressionTable intercept="0"><NumericPredictor name="s" coefficient="1"/></RegressionTable>'
    return Known(document(dated(data_type) + NUMBER, line(table, schema=OF_TEXT)), (text,), (result,), "s")


KNOWN = {
    # numbers as Java, R, .NET and C write them
    "1.0E-4": numbers(intercept("1.0E-4"), (0, 1e-4)),
    "1e+05": numbers(intercept("1e+05"), (0, 1e5)),
    "blanks around": numbers(intercept("\n 2.5 "), (0, 2.5)),
    "no zero before the point": numbers(intercept(".5"), (0, 0.5)),
    "nothing after the point": numbers(intercept("+5."), (0, 5.0)),
    "a denormal": numbers(intercept("4.9E-324"), (0, 5e-324)),
    "57 decimals": numbers(intercept("0.1000000000000000055511151231257827021181583404541015625"), (0, 0.1)),
    "INF": numbers(constant("INF"), (1, math.inf)),
    "-INF": numbers(constant("-INF"), (1, 1.0)),
    "CDATA": numbers(constant("<![CDATA[ 7 ]]>"), (1, 7.0)),
    "comments in a number": numbers(constant("<!-- from -->7<!-- to -->5"), (1, 75.0)),
    "infinite bound": numbers(
        choice('<SimplePredicate field="x" operator="lessOrEqual" value="INF"/>'), (1e300, 1.0), (None, 2.0)
    ),
    # arrays
    "blanks within quotes": texts(
        among(r'<Array n="3" type="string">ab  "a b" "with \"quotes\" "</Array>'),
        ("ab", "a b", 'with "quotes" ', "b"),
        (1, 1, 1, 2),
    ),
    "a path": texts(among(r'<Array type="string">"C:\temp"</Array>'), (r"C:\temp", "C:temp"), (1, 2)),
    "references": texts(
        among('<Array n="2" type="string">&quot;it&apos;s&quot; "&lt;5&gt;"</Array>'),
        ("it's", "<5>", "5"),
        (1, 1, 2),
    ),
    "an array in CDATA": texts(
        among('<Array type="string"><![CDATA["a" "b c"]]></Array>'), ("b c", "c"), (1, 2)
    ),
    "characters by number": texts(
        choice('<SimplePredicate field="s" operator="equal" value="&#233;&#x1F600;&amp;"/>', OF_TEXT),
        ("é😀&", "é"),
        (1, 2),
    ),
    "a line feed by number": texts(
        choice('<SimplePredicate field="s" operator="equal" value="a&#10;b"/>', OF_TEXT),
        ("a\nb", "a b"),
        (1, 2),
    ),
    # documents
    "extensions everywhere": numbers(WITH_EXTENSIONS, (2, 13.0)),
    **{
        f"version {version}": Known(
            document(
                X + NUMBER,
                line(),
                version=version,
                attributes='xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
                'xsi:schemaLocation="http://www.dmg.org/PMML-3_0 pmml-3-0.xsd"',
            ),
            (1.5,),
            (4.0,),
        )
        for version in ("2.1", "3.0", "3.1", "3.2", "4.0", "4.1", "4.2", "4.3", "4.4")
    },
    **{
        f"encoding {encoding}": Known(
            document(X + NUMBER, line(attributes='modelName="größe"'), encoding=encoding), (1.0,), (3.0,)
        )
        for encoding in ("ISO-8859-1", "windows-1252", "UTF-16", "ISO-8859-15", "cp850")
    },
    # targets: limits, then factor, then constant, then rounding
    "a target that is rescaled": numbers(
        target('min="-10" max="10.5" rescaleFactor="3.14" rescaleConstant="10" castInteger="round"'),
        (3.5, 35.0),
        (12, 43.0),
        (-11, -21.0),
        (None, None),
    ),
    "halves are rounded up": numbers(target('castInteger="round"'), (0.75, 3.0), (-1.75, -2.0)),
    "a default": numbers(
        target('optype="continuous"', '<TargetValue defaultValue="432.21"/>'), (None, 432.21)
    ),
    # fields
    "bins": numbers(only(BINS), (0, 8), (1, 1), (1.5, 2), (None, 9), (-1, 8)),
    "lines between points": numbers(only(NORM), (5, 0.5), (15, 3), (30, 5), (None, 9), (-3, 0)),
    "an interval that is open at its end": numbers(line(), (10, None), (0, 1.0), fields=BOUNDED + NUMBER),
    "invalid as missing": numbers(
        treated('missingValueReplacement="3" invalidValueTreatment="asMissing"'),
        (10, 7.0),
        (-1, 7.0),
        (None, 7.0),
        fields=BOUNDED + NUMBER,
    ),
    "invalid as they are": numbers(
        treated('invalidValueTreatment="asIs"'), (10, 21.0), fields=BOUNDED + NUMBER
    ),
    "extreme values": numbers(
        treated('outliers="asExtremeValues" lowValue="1" highValue="3"'), (10, 7.0), (0, 3.0), (2, 5.0)
    ),
    "outliers as missing": numbers(
        treated('outliers="asMissingValues" lowValue="1" highValue="3" missingValueReplacement="7"'),
        (10, 15.0),
        (2, 5.0),
    ),
    "days since 1960": day("dateDaysSince[1960]", "2003-04-01", 15_796),
    "days before 1970": day("dateDaysSince[1970]", "1960-01-03", -3_651),
    "seconds since 1960": day("dateTimeSecondsSince[1960]", "1960-01-03T03:30:03", 185_403),
    "seconds before 1960": day("dateTimeSecondsSince[1960]", "1959-12-31T23:59:57", -3),
    "seconds of a day": day("timeSeconds", "03:30:03", 12_603),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_spelling_of_an_exporter_has_the_answers_of_the_standard(name: str) -> None:
    known = KNOWN[name]
    rows: list[dict[str, Any]] = [{known.name: row} for row in known.rows]
    model = load_document(known.content)
    columns = columns_of(model, known.content, rows)
    wanted = np.array([math.nan if one is None else one for one in known.results])
    together = model.score(np.concatenate([columns] * 5)).result[: len(rows)]
    alone = [model.score(columns[place : place + 1]).result.item() for place in range(len(rows))]
    np.testing.assert_allclose(together, wanted, rtol=1e-12)
    np.testing.assert_allclose(alone, wanted, rtol=1e-12)


@pytest.mark.parametrize("text", ["1,5", "0x10", "1d", "1_000", "", "1.0f", "\u0661", "1 2"])
def test_a_number_in_another_spelling_is_refused_by_name(text: str) -> None:
    content = document(X + NUMBER, intercept(text))
    with pytest.raises(ModelRejected, match=rf"intercept '{text}' of RegressionTable, which is not a number"):
        load_document(content)
