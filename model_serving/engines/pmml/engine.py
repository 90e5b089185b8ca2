"""PMML models: this project's own evaluator scores them with numpy (see the package ``evaluator``).

A document with a part that the evaluator does not know is refused with a line that names the part, or scored
by PMML4S in Java if everything in the document is known to be right there (see ``java_model``).

Inputs: without ``inputs`` in the descriptor, the record fields with the names of the model's active fields;
else the fields in ``inputs``, in the order of the MiningSchema. Numeric and boolean PMML fields take the
record's numbers, all others take its text. NaN and empty text are missing values.

Result and labels: see the module ``evaluator.answers``. ``outputs`` are the numbers among the document's
OutputFields, and the probabilities of the classes, NaN where there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.core.engine import LoadedModel, RecordSchema
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelToServe
from model_serving.engines.collector import collector_paused, dismantle
from model_serving.engines.foreign_errors import first_line, rejecting
from model_serving.engines.limits import Limits
from model_serving.engines.pmml.evaluator.compiler import Compiled, compile_document
from model_serving.engines.pmml.evaluator.model import EvaluatedModel
from model_serving.engines.pmml.evaluator.reading import Unsupported
from model_serving.engines.pmml.evaluator.verification import verify
from model_serving.engines.pmml.xml_tree import read_xml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.treatment import DataField

__all__ = ["PmmlEngine"]


class PmmlEngine:
    """Loads PMML models, of documents within the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        """See ``Engine.load``."""
        with rejecting("the PMML model cannot be loaded"), collector_paused():
            root = read_xml(model.content, self._limits.pmml_bytes)
            try:
                return _load(root, model, schema)
            finally:
                dismantle(root)


def _load(root: Element, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
    if root.tag != "PMML":
        raise ModelRejected(f"not a PMML document: its root element is '{first_line(root.tag)}'")
    compiled = _compiled(root)
    verify(compiled, compiled.node.element)
    fields = _fields_for(compiled.input_fields, model.inputs, schema)
    return EvaluatedModel(compiled, fields, model.output, model.result_output)


def _compiled(root: Element) -> Compiled:
    try:
        return compile_document(root)
    except Unsupported as unsupported:
        raise ModelRejected(
            f"the PMML document has {first_line(unsupported)}: export the model without it"
        ) from unsupported


def _fields_for(inputs: Sequence[DataField], given: tuple[str, ...], schema: RecordSchema) -> tuple[str, ...]:
    if given and len(given) != len(inputs):
        raise ModelRejected(
            f"the model takes {len(inputs)} inputs ({', '.join(field.name for field in inputs)}), "
            f"but the descriptor names {len(given)}: name {len(inputs)}, or none"
        )
    fields = tuple(schema.field_named(name) for name in (given or [field.name for field in inputs]))
    for field, pmml in zip(fields, inputs, strict=True):
        if pmml.kind.is_number != (field in schema.numeric):
            raise ModelRejected(
                f"the model takes '{pmml.name}' as {pmml.kind.data_type}, but '{field}' of {schema.name} is "
                f"{'text' if pmml.kind.is_number else 'a number'}: change the model's dataType or its inputs"
            )
    return fields
