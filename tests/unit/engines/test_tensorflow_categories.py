"""Models that fail for a category which they do not know, as Keras's lookups without places for others do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_serving.core.engine import RecordSchema, first_row_of
from model_serving.core.errors import ScoringFailed
from model_serving.core.guarded import GuardedModel
from model_serving.core.messages import ModelType
from tests.unit.engines.tensorflow_builders import Load, saved_function, tf

SCHEMA = RecordSchema("Sample", ("floor",), ("city", "level"))
KNOWN: dict[str, list[Any]] = {"city": ["Bern", "Ulm"], "level": ["low", "high"], "floor": [3, 5]}


def strict(tmp_path: Path) -> bytes:
    """A SavedModel that adds up the places of three categories, and fails for others."""
    tables = {
        name: tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(keys, tf.string if name != "floor" else tf.int64), tf.constant([1, 10], tf.int64)
            ),
            -1,
        )
        for name, keys in KNOWN.items()
    }

    def serve(city: Any, level: Any, floor: Any) -> Any:
        found = []
        for name, value in (("city", city), ("level", level), ("floor", floor)):
            place = tables[name].lookup(value)
            with tf.control_dependencies([tf.debugging.assert_greater(place, tf.constant(-1, tf.int64))]):
                found.append(tf.cast(place, tf.float32))
        return {"y": tf.add_n(found)}

    specs = [tf.TensorSpec([None, 1], tf.int64 if name == "floor" else tf.string, name) for name in KNOWN]
    return saved_function(tmp_path, serve, *specs, tables=list(tables.values()))


def test_the_model_is_tried_with_keys_of_its_tables(load: Load, tmp_path: Path) -> None:
    model = load(ModelType.TENSORFLOWSAVED, strict(tmp_path), schema=SCHEMA)
    first = dict(zip(model.fields, first_row_of(GuardedModel(model), SCHEMA)[0].tolist(), strict=True))
    assert all(first[name] in KNOWN[name] for name in KNOWN)

    def score(**values: Any) -> list[float]:
        records = np.array([[values[name] for name in model.fields]], dtype=object)
        return [float(each) for each in model.score(records).result]

    assert score(city="Bern", level="low", floor=5.0) == [12.0]
    assert score(city="Ulm", level="high", floor=5.0) == [30.0]
    with pytest.raises(ScoringFailed, match="TensorFlow failed"):
        score(city="Oslo", level="high", floor=5.0)
