"""Writes small PMML documents, and scores rows with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model_serving.core.engine import Scores
from tests.pmml_cases import columns_of, load_document

__all__ = ["assert_alone_as_together", "document", "score"]

_OPTYPES = {"string": "categorical", "boolean": "categorical"}


def document(model: str, fields: Mapping[str, str], target: str = "y") -> str:
    """Returns a document with one model.

    Args:
        model: the element of the model; ``{schema}`` in it becomes the MiningSchema.
        fields: data types by name, each with the values that it lists: ``"string: a b"``; an optype may stand
            before the type: ``"ordinal string: a b"``.
        target: which of the fields is the target.
    """
    declared, mined = [], []
    for name, spelled in fields.items():
        kind, _, values = spelled.partition(":")
        *optype, data_type = kind.split()
        listed = "".join(f'<Value value="{value}"/>' for value in values.split())
        declared.append(
            f'<DataField name="{name}" dataType="{data_type}" '
            f'optype="{optype[0] if optype else _OPTYPES.get(data_type, "continuous")}">{listed}</DataField>'
        )
        mined.append(f'<MiningField name="{name}"' + (' usageType="target"/>' if name == target else "/>"))
    schema = f"<MiningSchema>{''.join(mined)}</MiningSchema>"
    return (
        '<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/>'
        f"<DataDictionary>{''.join(declared)}</DataDictionary>{model.replace('{schema}', schema)}</PMML>"
    )


def score(text: str, rows: Sequence[Mapping[str, Any]]) -> Scores:
    """Scores rows with a document, together and one by one, which must agree."""
    content = text.encode()
    model = load_document(content)
    columns = columns_of(model, content, rows)
    together = model.score(columns)
    for place in range(len(rows)):
        assert_alone_as_together(together, place, model.score(columns[place : place + 1]))
    return together


def assert_alone_as_together(together: Scores, place: int, alone: Scores) -> None:
    """A record has the same scores alone as in a batch, but for the last digits of sums."""
    np.testing.assert_allclose(alone.result[0], together.result[place], rtol=1e-12, equal_nan=True)
    if together.labels is not None and alone.labels is not None:
        assert alone.labels[0] == together.labels[place]
    for name, values in together.outputs.items():
        np.testing.assert_allclose(alone.outputs[name][0], values[place], rtol=1e-12, equal_nan=True)
