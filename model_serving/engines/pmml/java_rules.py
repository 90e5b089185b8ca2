"""Which documents PMML4S may score: those of which every part is known to be right there.

PMML4S (1.5.8) is wrong without an error on many documents: classes at ties and without a probability,
missing and invalid values, forests, derived texts, outputs. So nothing goes to it that is not in this table,
element by element, and the table has only what tests compare with a second evaluator of their own:
regressions of numbers, with fields that are computed by arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from xml.etree.ElementTree import Element

__all__ = ["RULES", "foreign_part"]

_ANY = None
_CONTINUOUS = {"name": _ANY, "displayName": _ANY, "optype": ("continuous",), "dataType": ("double",)}

RULES: Mapping[str, Mapping[str, Collection[str] | None]] = {
    "PMML": {"version": _ANY, "xmlns": _ANY},
    "Header": {"copyright": _ANY, "description": _ANY, "modelVersion": _ANY},
    "Application": {"name": _ANY, "version": _ANY},
    "Timestamp": {},
    "DataDictionary": {"numberOfFields": _ANY},
    "DataField": _CONTINUOUS,
    "TransformationDictionary": {},
    "LocalTransformations": {},
    "DerivedField": _CONTINUOUS,
    "FieldRef": {"field": _ANY},
    "Constant": {"dataType": ("double",)},
    "Apply": {"function": ("+", "-", "*")},
    "RegressionModel": {
        "modelName": _ANY,
        "algorithmName": _ANY,
        "functionName": ("regression",),
        "normalizationMethod": ("none",),
    },
    "MiningSchema": {},
    "MiningField": {"name": _ANY, "usageType": ("active", "target", "predicted")},
    "RegressionTable": {"intercept": _ANY},
    "NumericPredictor": {"name": _ANY, "coefficient": _ANY, "exponent": ("1", "2")},
}
"""By element: its attributes, each with the values that it may have (None: any)."""


def foreign_part(root: Element) -> str | None:
    """Returns the first part of a document that is not in the table, None when all of it is."""
    for element in root.iter():
        attributes = RULES.get(element.tag)
        if attributes is None:
            return f"the element {element.tag}"
        for name, value in element.items():
            allowed = attributes.get(name, ())
            if not name.startswith("xmlns") and allowed is not None and value not in allowed:
                return f"{name} '{value}' of {element.tag}"
    return None
