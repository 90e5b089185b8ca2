"""Documents that score one expression, as a derived field beside a result that is always the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from model_serving.engines.pmml.evaluator.compiler import compile_document
from model_serving.engines.pmml.xml_tree import read_xml

__all__ = ["FAILS", "apply", "constant", "document", "ref", "value", "values"]

FAILS = "the record has no result"
_TYPES = {
    "x": "double",
    "y": "double",
    "k": "integer",
    "m": "integer",
    "f": "float",
    "b": "boolean",
    "s": "string",
    "t": "string",
    "day": "date",
    "moment": "dateTime",
    "clock": "time",
}
_NUMBERS = frozenset({"integer", "float", "double", "boolean"})
_CATEGORICAL = frozenset({"string", "boolean"})


def ref(name: str) -> str:
    """Returns a FieldRef."""
    return f'<FieldRef field="{name}"/>'


def constant(text: object, data_type: str | None = None) -> str:
    """Returns a Constant."""
    said = "" if data_type is None else f' dataType="{data_type}"'
    return f"<Constant{said}>{text}</Constant>"


def apply(function: str, *arguments: str, **attributes: str) -> str:
    """Returns an Apply of a function to arguments, which are elements or names of fields."""
    said = "".join(f' {name}="{one}"' for name, one in attributes.items())
    inner = "".join(one if one.startswith("<") else ref(one) for one in arguments)
    return f'<Apply function="{function.replace("<", "&lt;")}"{said}>{inner}</Apply>'


def document(expression: str, data_type: str = "double", *, before: str = "", beside: str = "") -> bytes:
    """Returns a document with a derived field ``d`` of the expression.

    Args:
        expression: the expression.
        data_type: the type of ``d``.
        before: elements of the TransformationDictionary.
        beside: more DerivedFields.
    """
    fields = "".join(
        f'<DataField name="{name}" dataType="{kind}" optype="{_optype(kind)}"/>'
        for name, kind in _TYPES.items()
    )
    mining = "".join(f'<MiningField name="{name}"/>' for name in _TYPES)
    return (
        f'<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4" xmlns:data="urn:data"><Header/>'
        f"<DataDictionary>{fields}</DataDictionary>"
        f"<TransformationDictionary>{before}</TransformationDictionary>"
        f'<RegressionModel functionName="regression"><MiningSchema>{mining}</MiningSchema>'
        f"<LocalTransformations>{beside}"
        f'<DerivedField name="d" optype="{_optype(data_type)}" dataType="{data_type}">'
        f"{expression}</DerivedField>"
        f'</LocalTransformations><RegressionTable intercept="1"/></RegressionModel></PMML>'
    ).encode()


def _optype(data_type: str) -> str:
    return "categorical" if data_type in _CATEGORICAL else "continuous"


def values(
    expression: str,
    *rows: Mapping[str, object],
    data_type: str = "double",
    before: str = "",
    beside: str = "",
) -> list[float | str | None]:
    """Returns what an expression gives for records: numbers, texts, None for missing, ``FAILS``.

    The records are scored together and each alone; both must agree.

    Raises:
        Unsupported: the document is refused.
    """
    compiled = compile_document(
        read_xml(document(expression, data_type, before=before, beside=beside), 10_000_000).root
    )
    field = compiled.node.scope.field("d")

    def scored(records: Sequence[Mapping[str, object]]) -> list[float | str | None]:
        columns = np.empty((len(records), len(_TYPES)), dtype=object)
        for row, record in enumerate(records):
            for column, (name, kind) in enumerate(_TYPES.items()):
                missing = np.nan if kind in _NUMBERS else ""
                columns[row, column] = record.get(name, missing)
        batch = compiled.inputs.batch(columns)
        with np.errstate(all="ignore"), batch.aside():
            made = batch.value(field)
            failed = np.zeros(batch.n, dtype=bool) if batch.failed is None else batch.failed
        texts = batch.texts
        return [
            FAILS if fails else None if one != one else texts.text(one) if field.kind.is_text else float(one)
            for one, fails in zip(made.tolist(), failed.tolist(), strict=True)
        ]

    together = scored(rows)
    assert together == [scored([row])[0] for row in rows]
    return together


def value(
    expression: str, data_type: str = "double", before: str = "", **record: object
) -> float | str | None:
    """Returns what an expression gives for one record; see ``values``."""
    return values(expression, record, data_type=data_type, before=before)[0]
