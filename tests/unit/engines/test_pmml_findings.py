"""A PMML model that this same software has compared before is loaded without Java; any other is compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelToServe, ModelType
from model_serving.engines.limits import Limits
from model_serving.engines.pmml import engine as pmml
from model_serving.engines.pmml import findings as pmml_findings
from model_serving.engines.pmml.compiled.reading import NotCompiled
from model_serving.engines.pmml.engine import PmmlEngine
from model_serving.wire import RecordCodec
from tests.job_models import SAMPLES, sample_records

CODEC = RecordCodec("model_serving.protos.winerecord_pb2:WineRecord")
MODELS = {
    key: ModelToServe("wine", key, ModelType.PMML, "1", "", sample.path.read_bytes())
    for key, sample in SAMPLES.items()
    if sample.kind == "PMML"
}


def without_java(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("somebody asked for Java")

    monkeypatch.setattr(pmml, "current_gateway", refuse)


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_a_model_that_was_compared_scores_the_same_without_java(
    model: ModelToServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = PmmlEngine(Limits()).load(model, CODEC.schema)
    without_java(monkeypatch)
    again = PmmlEngine(Limits()).load(replace(model, findings=first.findings), CODEC.schema)
    assert (again.fields, again.findings) == (first.fields, first.findings)
    (batch,) = CODEC.decode([record.SerializeToString() for record in sample_records("wine", 50)]).batches
    columns = batch.features.columns(again.fields)
    ours, theirs = again.score(columns), first.score(columns)
    np.testing.assert_array_equal(ours.result, theirs.result)
    assert (ours.labels, list(ours.outputs)) == (theirs.labels, list(theirs.outputs))
    for name, values in ours.outputs.items():
        np.testing.assert_array_equal(values, theirs.outputs[name])


def test_what_other_software_found_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = PmmlEngine(Limits()).load(MODELS["glm"], CODEC.schema)
    older = replace(MODELS["glm"], findings=loaded.findings)
    monkeypatch.setattr(pmml_findings, "_software", lambda: "another digest")
    newer = replace(older, findings=PmmlEngine(Limits()).load(older, CODEC.schema).findings)
    without_java(monkeypatch)
    PmmlEngine(Limits()).load(newer, CODEC.schema)
    with pytest.raises(ModelRejected, match="somebody asked for Java"):
        PmmlEngine(Limits()).load(older, CODEC.schema)


def test_software_that_does_not_know_itself_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pmml_findings, "_software", lambda: "")
    assert PmmlEngine(Limits()).load(MODELS["glm"], CODEC.schema).findings == ""


def test_of_a_model_that_java_scores_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NotCompiled("something new")

    monkeypatch.setattr(pmml, "compile_pmml", refuse)
    loaded = PmmlEngine(Limits()).load(MODELS["glm"], CODEC.schema)
    assert loaded.findings == ""
    loaded.close()
