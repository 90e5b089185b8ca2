"""How a model's inputs are found among the fields of a record type."""

from __future__ import annotations

import pytest

from model_serving.core.engine import RecordSchema
from model_serving.core.errors import ModelRejected

SCHEMA = RecordSchema("Sample", ("free_sulfur_dioxide", "pH", "ab", "a_b", "A_B"), ("room.name",))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("pH", "pH"),
        ("PH", "pH"),
        ("free sulfur dioxide", "free_sulfur_dioxide"),
        ("Free.Sulfur-Dioxide", "free_sulfur_dioxide"),
        ("room name", "room.name"),
        ("ROOM-NAME", "room.name"),
        ("ab", "ab"),
        ("a b", "a_b"),
        ("A_B", "A_B"),
    ],
)
def test_separators_and_case_make_no_difference_and_the_exact_name_comes_first(name: str, field: str) -> None:
    assert SCHEMA.field_named(name) == field


@pytest.mark.parametrize("name", ["", "ph_", "freesulfurdioxide", "free__sulfur_dioxide", "density"])
def test_a_field_that_is_not_there_rejects_the_model(name: str) -> None:
    with pytest.raises(ModelRejected) as rejected:
        SCHEMA.field_named(name)
    assert str(rejected.value) == (
        f"the model needs the field '{name}', which Sample does not have "
        "(it has free_sulfur_dioxide, pH, ab, a_b, A_B, room.name): "
        "rename the model's input, or start the job with another --record-type"
    )
