"""The kinds of content that are recognized: those that engines load, and those that people send instead."""

from __future__ import annotations

from dataclasses import dataclass

from model_serving.core.messages import ModelType

__all__ = [
    "CATBOOST",
    "FROZEN_GRAPH",
    "GIT_LFS_POINTER",
    "GRAPH_TEXT",
    "HDF5",
    "HTML",
    "JSON",
    "KERAS",
    "KERAS_JSON",
    "LIGHTGBM",
    "NUMPY",
    "ONNX",
    "ONNX_TEXT",
    "PARQUET",
    "PICKLE",
    "PMML",
    "PYTORCH",
    "R_DATA",
    "SAVED_MODEL_ARCHIVE",
    "SAVED_MODEL_FILE",
    "SAVED_MODEL_TEXT",
    "TAR_OF_OTHER_THINGS",
    "TENSORFLOW_JS",
    "TEXT",
    "TFLITE",
    "XGBOOST",
    "XGBOOST_DUMP",
    "ZIP_DAMAGED",
    "ZIP_OF_OTHER_THINGS",
    "ContentKind",
    "compressed",
    "xml",
]


@dataclass(frozen=True, slots=True)
class ContentKind:
    """A kind of content.

    ``name`` is for people. ``model_type`` is the type whose engine may be able to load the content, None if
    no engine can. ``advice`` says what to do when the message has another type.
    """

    name: str
    model_type: ModelType | None
    advice: str


def _served(name: str, model_type: ModelType) -> ContentKind:
    return ContentKind(name, model_type, f"set modeltype {model_type.name} ({model_type.value})")


def _foreign(name: str, advice: str) -> ContentKind:
    return ContentKind(name, None, advice)


PMML = _served("PMML", ModelType.PMML)
ONNX = _served("an ONNX model", ModelType.ONNX)
FROZEN_GRAPH = _served("a frozen TensorFlow graph", ModelType.TENSORFLOW)
SAVED_MODEL_ARCHIVE = _served("an archive of a TensorFlow SavedModel", ModelType.TENSORFLOWSAVED)
ZIP_DAMAGED = ContentKind("a damaged zip archive", ModelType.TENSORFLOWSAVED, "pack the whole folder again")

_EXPORT_SAVED = "export a SavedModel with model.export('folder') and send that folder or a zip of it"
_SEND_FOLDER = "send the whole folder, as a zip or tar or by its location, with modeltype TENSORFLOWSAVED (1)"
_LOOK_AT_IT = (
    "send the model itself; if it came from a location, the server has sent an error or a login page "
    "instead: look at it with curl"
)

SAVED_MODEL_FILE = _foreign("only the saved_model.pb of a SavedModel", _SEND_FOLDER)
SAVED_MODEL_TEXT = _foreign(
    "a SavedModel in text form (saved_model.pbtxt)", f"save it in binary form; then {_SEND_FOLDER}"
)
GRAPH_TEXT = _foreign(
    "a TensorFlow graph in text form (.pbtxt)",
    "freeze the graph and write it in binary form (tf.io.write_graph with as_text=False)",
)
ONNX_TEXT = _foreign("an ONNX model in text form", "save it in binary form with onnx.save")
KERAS = _foreign("a Keras file (.keras)", f"load it with Keras, {_EXPORT_SAVED}")
KERAS_JSON = _foreign(
    "the JSON description of a Keras model, without its weights", f"load the model, {_EXPORT_SAVED}"
)
HDF5 = _foreign("an HDF5 file, as Keras writes it (.h5)", f"load it with Keras, {_EXPORT_SAVED}")
TFLITE = _foreign("a TensorFlow Lite file (.tflite)", "send the SavedModel that it was converted from")
TENSORFLOW_JS = _foreign("a TensorFlow.js model", "send the SavedModel that it was converted from")
PICKLE = _foreign(
    "a Python pickle, as joblib and scikit-learn write it",
    "a pickle can run any code and is never loaded: export the model as PMML (sklearn2pmml) or ONNX "
    "(skl2onnx)",
)
PYTORCH = _foreign("a PyTorch file", "export the model as ONNX with torch.onnx.export")
SAFETENSORS = _foreign(
    "weights without their model (.safetensors)", "load them into the model and export it as ONNX"
)
ML_NET = _foreign("an ML.NET model (.zip)", "export it as ONNX with mlContext.Model.ConvertToOnnx")
H2O_MOJO = _foreign(
    "an H2O MOJO", "export the model as PMML, in a pipeline of sklearn2pmml or with JPMML-H2O"
)
SPARK_ML = _foreign(
    "a saved model of Spark ML",
    "export it as PMML (pyspark2pmml) or ONNX (onnxmltools.convert_sparkml)",
)
LIGHTGBM = _foreign(
    "a LightGBM model", "export it as PMML (JPMML-LightGBM) or ONNX (onnxmltools.convert_lightgbm)"
)
XGBOOST = _foreign(
    "an XGBoost model", "export it as PMML (JPMML-XGBoost) or ONNX (onnxmltools.convert_xgboost)"
)
XGBOOST_DUMP = _foreign(
    "a dump of XGBoost's trees",
    "export the model itself as PMML (JPMML-XGBoost) or ONNX (onnxmltools.convert_xgboost)",
)
CATBOOST = _foreign("a CatBoost model", "save it with save_model(…, format='onnx') or format='pmml'")
R_DATA = _foreign("data of R (.rds, .RData)", "export the model as PMML (packages pmml or r2pmml)")
NUMPY = _foreign("a NumPy array", "send the model, not its data")
PARQUET = _foreign("a Parquet file", "send the model, not its data")
HTML = _foreign("an HTML page", _LOOK_AT_IT)
JSON = _foreign("JSON", _LOOK_AT_IT)
TEXT = _foreign("plain text", _LOOK_AT_IT)
GIT_LFS_POINTER = _foreign(
    "a pointer of Git LFS, which only names the file", "fetch the file itself with `git lfs pull`"
)
ZIP_OF_OTHER_THINGS = _foreign(
    "a zip archive without a saved_model.pb",
    "send the model in it by itself; for a SavedModel, pack the whole folder",
)
TAR_OF_OTHER_THINGS = _foreign(
    "a folder or tar archive without a saved_model.pb",
    "send the model in it by itself; for a SavedModel, send the whole folder",
)


def xml(root: str) -> ContentKind:
    """Returns the kind of XML that is not PMML, with the name of its first element."""
    return _foreign(f"XML whose first element is <{root[:60]}>, not <PMML>", _LOOK_AT_IT)


def compressed(how: str, inside: ContentKind | None) -> ContentKind:
    """Returns the kind of a compressed file that is not a tar."""
    name = f"a file compressed with {how}" + (f", and in it {inside.name}" if inside else "")
    return _foreign(name, f"decompress it first; {inside.advice if inside else 'then send the model itself'}")
