"""PMML models: this project's own evaluator scores them with numpy (see the package ``evaluator``).

A document with a part that the evaluator does not know is refused with a line that names the part. A
document beyond the evaluator's bounds is scored by PMML4S in Java, if everything in it is known to be right
there (see ``java_rules``).

Inputs: without ``inputs`` in the descriptor, the record fields with the names of the model's active fields;
else the fields in ``inputs``, in the order of the MiningSchema. Numeric and boolean PMML fields take the
record's numbers, all others take its text. NaN and empty text are missing values.

Result and labels: see the module ``evaluator.answers``. ``outputs`` are the numbers among the document's
OutputFields, and the probabilities of the classes, NaN where there is none.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from model_serving.core.engine import LoadedModel, RecordSchema
from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelToServe, OutputRule
from model_serving.engines.collector import collector_paused
from model_serving.engines.foreign_errors import first_line, rejecting
from model_serving.engines.limits import Limits
from model_serving.engines.pmml import pieces
from model_serving.engines.pmml.evaluator.compiler import compile_document
from model_serving.engines.pmml.evaluator.data_types import DOUBLE
from model_serving.engines.pmml.evaluator.model import EvaluatedModel
from model_serving.engines.pmml.evaluator.reading import Incomplete, TooLarge, Unsupported
from model_serving.engines.pmml.evaluator.verification import verify
from model_serving.engines.pmml.java_rules import foreign_part
from model_serving.engines.pmml.tree_reader import NotInColumns
from model_serving.engines.pmml.xml_tree import read_xml, written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.data_types import Kind

__all__ = ["PmmlEngine"]


class PmmlEngine:
    """Loads PMML models, of documents within the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # A large document that comes to a busy job would have to wait for it.
        pieces.prepare()

    def load(self, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
        """See ``Engine.load``."""
        with rejecting("the PMML model cannot be loaded"), collector_paused():
            try:
                return self._load(model, schema)
            except NotInColumns:
                return self._load(model, schema, in_columns=False)

    def _load(self, model: ModelToServe, schema: RecordSchema, *, in_columns: bool = True) -> LoadedModel:
        with read_xml(model.content, self._limits.pmml_bytes, in_columns=in_columns) as document:
            loaded = _load(document.root, model, schema)
            document.read_rest()
        return loaded


def _load(root: Element, model: ModelToServe, schema: RecordSchema) -> LoadedModel:
    if root.tag != "PMML":
        raise ModelRejected(f"not a PMML document: its root element is '{first_line(root.tag)}'")
    try:
        compiled = compile_document(root)
    except TooLarge as bound:
        return _load_in_java(root, model, schema, first_line(bound))
    except Incomplete as lacking:
        raise ModelRejected(f"the PMML document has {first_line(lacking)}: export it again") from lacking
    except Unsupported as unsupported:
        raise ModelRejected(
            f"the PMML document has {first_line(unsupported)}: {first_line(unsupported.advice)}"
        ) from unsupported
    verify(compiled, compiled.node.element)
    inputs = [(data.name, data.kind) for data in compiled.input_fields]
    fields = _fields_for(inputs, model.inputs, schema)
    return EvaluatedModel(compiled, fields, model.output, model.result_output)


def _load_in_java(root: Element, model: ModelToServe, schema: RecordSchema, bound: str) -> LoadedModel:
    part = foreign_part(root)
    if part is not None:
        raise ModelRejected(
            f"the PMML document has {bound}, and {first_line(part)} besides, which only models within that "
            "bound may have: use a smaller model"
        )
    if find_spec("py4j") is None or find_spec("pypmml") is None:
        raise ModelRejected(
            f"the PMML document has {bound}, so only Java can score it: pip install "
            "'flink-model-serving[pmml]' where the job runs, then publish the model again"
        )
    from model_serving.engines.pmml.java_model import JavaModel

    if model.output is OutputRule.ARGMAX or model.result_output:
        raise ModelRejected(
            "the model predicts one number: use the output AUTO or VALUE, without result_output"
        )
    names = [
        field.get("name", "")
        for field in root.iterfind("RegressionModel/MiningSchema/MiningField")
        if field.get("usageType", "active") == "active"
    ]
    fields = _fields_for([(name, DOUBLE) for name in names], model.inputs, schema)
    return JavaModel(written(root), names, fields, "PMML RegressionModel (regression)")


def _fields_for(
    inputs: Sequence[tuple[str, Kind]], given: tuple[str, ...], schema: RecordSchema
) -> tuple[str, ...]:
    if given and len(given) != len(inputs):
        raise ModelRejected(
            f"the model takes {len(inputs)} inputs ({', '.join(name for name, _ in inputs)}), "
            f"but the descriptor names {len(given)}: name {len(inputs)}, or none"
        )
    fields = tuple(schema.field_named(name) for name in (given or [name for name, _ in inputs]))
    for field, (name, kind) in zip(fields, inputs, strict=True):
        if kind.is_number != (field in schema.numeric):
            raise ModelRejected(
                f"the model takes '{name}' as {kind.data_type}, but '{field}' of {schema.name} is "
                f"{'text' if kind.is_number else 'a number'}: change the model's dataType or its inputs"
            )
    return fields
