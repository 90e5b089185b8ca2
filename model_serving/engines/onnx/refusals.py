"""Says what to do about a model that ONNX Runtime cannot load or run, and which failures are final."""

from __future__ import annotations

import re

from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.engines.foreign_errors import typed_line
from model_serving.engines.tensors.model import CannotScore

__all__ = [
    "EXTERNAL_DATA",
    "NOT_ONNX",
    "LocaleMissing",
    "failed_encoder",
    "load_refusal",
    "run_failure",
]

NOT_ONNX = (
    "ONNX Runtime cannot load the model: the content is not an ONNX model, export it again as an .onnx file"
)

EXTERNAL_DATA = (
    "the model's weights are in another file (external data): publish it with model-serving publish-models, "
    "which puts them into the message, or export it into one file, in PyTorch with "
    "torch.onnx.export(..., external_data=False), for an exported model with "
    "onnx.save_model(onnx.load('model.onnx'), 'one_file.onnx')"
)

_TOO_NEW = re.compile(
    r"model (?P<what>IR version): (?P<has>\d+), max supported IR version: (?P<most>\d+)"
    r"|(?P<opset>Opset) (?P<is>\d+) is under development.*? till opset (?P<till>\d+)",
    re.DOTALL,
)
_UNKNOWN_OPERATOR = re.compile(r"([\w.]*:\w+)\(-?\d+\) is not a registered function/op")
_LOCALE = re.compile(r"string_normalizer\.cc.*[Ll]ocale", re.DOTALL)
_ADVICE = (
    (
        re.compile(r"opset version|support for domain"),
        "export it with an older opset",
    ),
    (
        re.compile(r"NOT_IMPLEMENTED|Could not find an implementation"),
        "export it with float32 instead of this type",
    ),
    (
        re.compile(r"Type Error|does not match expected type"),
        "export it with float32 inputs and a newer converter",
    ),
)

_UNKNOWN_CATEGORY = re.compile(r"running OneHotEncoder node\. Name:'([^']*)'.*Unknown Category")
_FAILED_NODE = re.compile(r"running (\w+) node")
_DEPEND_ON_VALUES = frozenset(
    {
        "ArrayFeatureExtractor",
        "Cast",
        "CategoryMapper",
        "ConstantOfShape",
        "DictVectorizer",
        "Expand",
        "Gather",
        "GatherElements",
        "GatherND",
        "If",
        "LabelEncoder",
        "Loop",
        "OneHot",
        "OneHotEncoder",
        "Pad",
        "Range",
        "Scan",
        "ScatterElements",
        "ScatterND",
        "SequenceAt",
        "Slice",
        "StringNormalizer",
        "TfIdfVectorizer",
        "Tile",
        "Tokenizer",
        "TopK",
    }
)
"""Operators that may fail for the values of one record and not for those of another."""


class LocaleMissing(ModelRejected):
    """The refusal of a model that needs a locale which is not installed here."""


def load_refusal(error: Exception) -> ModelRejected:
    """Returns the refusal of a model that ONNX Runtime does not load."""
    text = str(error)
    unknown = _UNKNOWN_OPERATOR.search(text)
    if unknown:
        return ModelRejected(
            f"the model uses the operator {unknown[1].removeprefix(':')}, which ONNX Runtime does not have: "
            "export it without custom operators"
        )
    new = _TOO_NEW.search(text)
    if new:
        what, has, most = ("opset", "is", "till") if new["opset"] else ("IR version", "has", "most")
        return ModelRejected(
            f"the model has the {what} {new[has]}, but ONNX Runtime here knows only up to {new[most]}: "
            f"export it with {'opset' if new['opset'] else 'an older onnx package, or set ir_version to'} "
            f"{new[most]}"
        )
    if "External data path" in text:
        return ModelRejected(EXTERNAL_DATA)
    if _LOCALE.search(text):
        return LocaleMissing(
            "the model changes text to lower case by the rules of a locale "
            "that is not installed where the job runs: install it there (Debian: apt-get install locales, "
            "then locale-gen), or export the vectorizer with lowercase=False"
        )
    advice = next((f": {words}" for pattern, words in _ADVICE if pattern.search(text)), "")
    return ModelRejected(f"ONNX Runtime cannot load the model: {typed_line(error)}{advice}")


def failed_encoder(error: BaseException) -> str:
    """Returns the name of the OneHotEncoder that does not know a category, "" if it is another error."""
    found = _UNKNOWN_CATEGORY.search(str(error))
    return found[1] if found else ""


def run_failure(error: Exception) -> ScoringFailed:
    """Returns the failure of a run: ``CannotScore`` when no other record could avoid it."""
    text = str(error)
    if _UNKNOWN_CATEGORY.search(text):
        return ScoringFailed(
            "a record has a category that the model does not know: such a record has no result, unless the "
            "encoder is made with handle_unknown='ignore'"
        )
    failed = _FAILED_NODE.search(text)
    if failed:
        is_final = failed[1] not in _DEPEND_ON_VALUES
    else:
        is_final = type(error).__name__ in {"InvalidArgument", "NotImplemented"}
    kind = CannotScore if is_final else ScoringFailed
    return kind(f"ONNX Runtime failed: {typed_line(error)}")
