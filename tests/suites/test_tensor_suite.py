"""A fixed sample of the suite of TensorFlow and ONNX models gives the answers of the models' own libraries.

The suite is a folder that is not part of this project: ``MODEL_SERVING_TENSOR_SUITE`` names it, else it is
``shared/tensor-suite`` beside the project. All of it is scored by ``python -m tests.suites.tensors``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.known_models import tensor_suite_folder
from tests.suites.tensors import outcome_of

FOLDER = tensor_suite_folder()

pytestmark = pytest.mark.skipif(
    not (FOLDER / "models").is_dir(),
    reason="the suite of tensor models is not here: set MODEL_SERVING_TENSOR_SUITE to its folder",
)

RIGHT = (
    "catboost.cat_multi_text",
    "hand.hand_label_text_only",
    "hand.hand_old_ir3_initializers_as_inputs",
    "hand.hand_per_field_given_in_file_order",
    "hand.hand_torch_cat_cont",
    "hand.hand_torch_squeeze_all_fixed_1",
    "hand.hand_torch_two_outputs",
    "hand.hand_torch_user_item",
    "hand.hand_torch_window",
    "lightgbm.lgb_multi_nozipmap",
    "lightgbm.lgb_multi_text",
    "sklearn.ct_two_blocks",
    "sklearn.gaussian_nb",
    "sklearn.inputs_in_model_order",
    "sklearn.int64_input",
    "sklearn.kmeans",
    "sklearn.linear_svc",
    "sklearn.logreg_classes_3_5_8",
    "sklearn.logreg_zipmap_columns",
    "sklearn.one_class_svm",
    "sklearn.qda",
    "sklearn.text_matrix_no_inputs",
    "sklearn.x_mixed_labels_zero_gives_1",
    "sklearn.x_svc_text",
    "tf2onnx.t2o_keras_softmax",
    "wrong.10_window",
    "wrong.11_scalar_of_batch_1",
    "wrong.1a_inputs_same_names",
    "wrong.1b_inputs_rename",
    "wrong.2_label_and_one_score",
    "wrong.3_label_is_not_the_argmax",
    "wrong.4_text_label_one_score",
    "wrong.4b_text_label_alone",
    "wrong.5_text_input_zipmap",
    "wrong.5b_text_input_one_number_field",
    "wrong.6_some_labels_spell_numbers",
    "wrong.8_label_and_two_columns",
    "wrong.9_matrix_and_another",
    "xgboost.xgb_binary",
    "xgboost.xgb_in_pipeline",
    "xgboost.xgb_reg",
)

REJECTED = {
    "hand.hand_custom_op": "the operator my.ops:MyOp, which ONNX Runtime does not have",
    "hand.hand_external_data": "export it into one file",
    "hand.hand_torch_two_heads_named": "the outputs policy, value: say in result_output",
    "sklearn.reg_gpr_std": "the outputs GPmean, GPcovstd: say in result_output",
    "wrong.7_unknown_width": "trying the model with zeros",
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_model_gives_its_librarys_answers(name: str) -> None:
    outcome = outcome_of(FOLDER / "models" / f"{name}.json")
    assert (outcome.verdict, outcome.findings) == ("right", [])
    assert outcome.result, "the model does not say what its result is"


@pytest.mark.parametrize("name", list(REJECTED))
def test_a_model_that_cannot_be_served_is_refused_in_words(name: str) -> None:
    outcome = outcome_of(FOLDER / "models" / f"{name}.json")
    assert outcome.verdict in {"rejected", "rejected as expected"}
    assert REJECTED[name] in outcome.findings[0]


def test_a_wrong_answer_is_noticed(tmp_path: Path) -> None:
    source = FOLDER / "models" / "xgboost.xgb_reg.json"
    case = json.loads(source.read_text())
    case["result"][0] += 1.0
    (tmp_path / source.name).write_text(json.dumps(case))
    (tmp_path / source.name).with_suffix(".model").write_bytes(source.with_suffix(".model").read_bytes())
    outcome = outcome_of(tmp_path / source.name)
    assert outcome.verdict == "wrong"
    assert outcome.findings[0].startswith("together: the result is ")
