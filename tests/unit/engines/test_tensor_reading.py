"""Output tensors: the ways for common plans give the same as the general one."""

from __future__ import annotations

import numpy as np
import pytest

from model_serving.core.errors import ScoringFailed
from model_serving.core.messages import OutputRule
from model_serving.engines.tensors import reading
from model_serving.engines.tensors.outputs import OutputPlan, TensorOutput
from model_serving.engines.tensors.reading import Tensor, TensorReader, reader_of

VALUES = TensorOutput("values", 3)
WHOLE = TensorOutput("whole", 2, is_float=False)
ONE = TensorOutput("one", 1)
TEXT = TensorOutput("label", 1, is_float=False, is_text=True)

TENSORS: dict[str, Tensor] = {
    "values": np.array([[0.5, 2.5, -1.0]], np.float32),
    "whole": np.array([[7, 8]], np.int64),
    "one": np.array([[4.5]]),
    "label": np.array([["b"]], object),
}


def plan(
    *outputs: TensorOutput, label: int | None = None, source: tuple[int, OutputRule, int] | None = None
) -> OutputPlan:
    names = tuple(
        () if output.is_text else tuple(f"{output.name}[{place}]" for place in range(output.columns or 0))
        for output in outputs
    )
    numbers = None if source is not None else {"a": 0.0, "b": 1.0}
    return OutputPlan(outputs, label, numbers, source, names, ("a", "b"), "")


PLANS = {
    "values, whole": plan(VALUES, WHOLE, source=(0, OutputRule.ARGMAX, -1)),
    "whole, values": plan(WHOLE, VALUES, source=(1, OutputRule.ARGMAX, -1)),
    "a column": plan(WHOLE, VALUES, source=(1, OutputRule.VALUE, 2)),
    "one, whole": plan(ONE, WHOLE, source=(0, OutputRule.VALUE, -1)),
    "label, values, one": plan(TEXT, VALUES, ONE, label=0),
    "values, label, one": plan(VALUES, TEXT, ONE, label=1, source=(2, OutputRule.VALUE, -1)),
}


@pytest.mark.parametrize("name", PLANS)
def test_several_outputs_of_one_record_are_read_the_same(name: str) -> None:
    chosen = PLANS[name]
    read = reader_of(chosen)
    assert read.__name__ == "one_record"
    tensors = [TENSORS[output.name] for output in chosen.outputs]
    for given in (tensors, [tensor.ravel() for tensor in tensors]):
        found, expected = read(given, 1), TensorReader(chosen)(given, 1)
        np.testing.assert_array_equal(found.result, expected.result)
        assert found.labels == expected.labels
        assert {key: value.tolist() for key, value in found.outputs.items()} == {
            key: value.tolist() for key, value in expected.outputs.items()
        }
        assert all(value.shape == (1,) for value in found.outputs.values())


@pytest.mark.parametrize("name", PLANS)
def test_several_outputs_of_more_records_are_read_the_same(name: str) -> None:
    chosen = PLANS[name]
    tensors = [np.repeat(TENSORS[output.name], 3, axis=0) for output in chosen.outputs]
    found, expected = reader_of(chosen)(tensors, 3), TensorReader(chosen)(tensors, 3)
    np.testing.assert_array_equal(found.result, expected.result)
    assert found.labels == expected.labels
    assert list(found.outputs) == list(expected.outputs)


def test_columns_that_moved_from_one_output_to_another_are_refused() -> None:
    read = reader_of(PLANS["values, whole"])
    with pytest.raises(ScoringFailed, match="a different number of columns"):
        read([TENSORS["whole"], TENSORS["values"]], 1)


def test_a_result_that_is_no_number_stays_so() -> None:
    tensors = [np.array([[np.nan, 1.0, 2.0]]), TENSORS["whole"]]
    assert np.isnan(reader_of(PLANS["values, whole"])(tensors, 1).result).all()


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(np.array(["a", "b", "a", "b"], object), id="texts"),
        pytest.param(np.array([b"a", b"b", b"a", b"b"], object), id="bytes"),
        pytest.param(np.array([3, 12, 3, 12], np.int64), id="whole numbers"),
        pytest.param(np.array([False, True, False, True]), id="false and true"),
    ],
)
def test_a_label_of_one_record_is_read_as_among_others(labels: Tensor) -> None:
    """Also when it comes again, and whatever a reader of the first result has done with it."""
    numbers = {"a": 0.0, "b": 1.0, "3": 0.0, "12": 1.0, "False": 0.0, "True": 1.0}
    chosen = OutputPlan((TEXT, VALUES), 0, numbers, None, ((), ("x", "y", "z")), tuple(numbers), "")
    read = reader_of(chosen)
    assert read.__name__ == "label_and_matrix"
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    together = TensorReader(chosen)([labels, values], 4)
    for place in range(4):
        alone = read([labels[place : place + 1], values[place : place + 1]], 1)
        assert alone.labels == [(together.labels or ())[place]]
        assert alone.result.tolist() == [together.result[place]]
        assert {name: value.tolist() for name, value in alone.outputs.items()} == {
            name: [value[place]] for name, value in together.outputs.items()
        }
        alone.result[:] = -1


def test_labels_that_never_come_again_take_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_REMEMBERED", 10)
    reader = TensorReader(OutputPlan((TEXT, VALUES), 0, None, None, ((), ("x", "y", "z")), (), ""))
    for number in range(30):
        found = reader.label_and_matrix([np.array([[number]], object), TENSORS["values"]], 1)
        assert (found.labels, found.result.tolist()) == ([str(number)], [number])
    assert len(reader._seen) == 10
    assert len(reader._numbers) == 10
