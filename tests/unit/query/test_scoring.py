"""Scores single records with the version that serves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model_serving.core.admission.signing import sign
from model_serving.query.config import parse_config
from model_serving.query.errors import HttpError
from model_serving.query.ports import Document
from model_serving.query.scoring import ModelScorer
from tests.job_models import SAMPLES, sample_records
from tests.unit.query.stand_in import serving

SAMPLE = SAMPLES["glm"]
KEY = b"a key of at least sixteen bytes"


class Messages:
    """See ``query.scoring.MessageSource``; ``asked`` are the versions that it was asked for."""

    def __init__(self, *payloads: bytes) -> None:
        self.payloads = payloads
        self.asked: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def messages(
        self, data_type: str, name: str, version: str, sha256: str, timeout_s: float
    ) -> Iterator[bytes]:
        self.asked.append(version)
        self.go_on.wait(60)
        yield from self.payloads

    def close(self) -> None:
        pass


def message(version: str = "v1", **more: Any) -> bytes:
    return SAMPLE.message("wine", version=version, **more).SerializeToString()


def scorer_of(source: Messages, *flags: str, models: int = 4, timeout_s: float = 60) -> ModelScorer:
    return ModelScorer(source, parse_config(flags, {}).serving, models=models, timeout_s=timeout_s)


def scorer_of_glm() -> ModelScorer:
    """A scorer whose every version is a linear model."""
    return scorer_of(Messages(message()))


def served(version: str = "v1") -> Document:
    return serving(version, sha256="", name="glm")


def record() -> Document:
    (first,) = sample_records("wine", 1)
    return {field.name: value for field, value in first.ListFields() if field.name not in ("dataType", "ts")}


@pytest.fixture
def source() -> Messages:
    return Messages(message())


def test_a_record_gets_what_a_job_gives_it(source: Messages) -> None:
    scorer = scorer_of(source)
    answer = scorer.score(served(), "wine", record())
    assert answer["result"] == pytest.approx(SAMPLE.expected[0], abs=SAMPLE.tolerance)
    assert (answer["version"], answer["dataType"]) == ("v1", "wine")
    assert answer["scoringMs"] > 0
    # It is loaded once.
    assert scorer.score(served(), "wine", record()) | {"scoringMs": 0} == answer | {"scoringMs": 0}
    assert source.asked == ["v1"]


def test_names_of_fields_may_differ_in_case_and_separators(source: Messages) -> None:
    spelled = {name.replace("_", " ").title(): value for name, value in record().items()}
    answer = scorer_of(source).score(served(), "wine", spelled)
    assert answer["result"] == pytest.approx(SAMPLE.expected[0], abs=SAMPLE.tolerance)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "none of its fields set"),
        ({"colour": 1}, "colour"),
        ({"alcohol": "strong"}, "strong"),
        ({"alcohol": [1]}, "alcohol"),
        ({"alcohol": 10**400}, "WineRecord"),
        ({"alcohol": "NaN"}, "alcohol"),
        ({"alcohol": 9, "dataType": "beer"}, "its dataType is 'beer', not 'wine'"),
        ({"alcohol": 9, "ts": 2**70}, "WineRecord"),
    ],
)
def test_what_is_no_record_is_422(source: Messages, values: Document, said: str) -> None:
    with pytest.raises(HttpError, match=said) as refused:
        scorer_of(source).score(served(), "wine", values)
    assert refused.value.status == 422
    assert "\n" not in refused.value.detail


def test_versions_are_dropped_when_others_are_asked_for(source: Messages) -> None:
    source.payloads = (message("v2"), message("v1"))
    scorer = scorer_of(source, models=1)
    for version in ("v1", "v2", "v2", "v1"):
        assert scorer.score(served(version), "wine", record())["version"] == version
    assert source.asked == ["v1", "v2", "v1"]


def test_only_a_message_with_the_same_version_and_content_is_loaded(source: Messages) -> None:
    with pytest.raises(HttpError, match="has changed") as refused:
        scorer_of(source).score(served() | {"sha256": "ab" * 32}, "wine", record())
    assert refused.value.status == 502


def test_a_message_that_is_gone_is_said(source: Messages) -> None:
    source.payloads = ()
    with pytest.raises(HttpError, match="not on the models topic any more"):
        scorer_of(source).score(served(), "wine", record())


def test_what_does_not_load_is_said_and_not_loaded_again_at_once(source: Messages) -> None:
    source.payloads = (SAMPLE.message("wine", version="v1", data=b"<PMML/>").SerializeToString(),)
    scorer = scorer_of(source)
    for _ in range(2):
        with pytest.raises(HttpError, match="does not load here") as refused:
            scorer.score(served(), "wine", record())
        assert refused.value.status == 502
    assert source.asked == ["v1"]


def test_with_keys_only_signed_messages_are_loaded(source: Messages, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(KEY.hex())
    flags = ("--model-key-file", str(tmp_path / "keys"))
    with pytest.raises(HttpError, match="not signed"):
        scorer_of(source, *flags).score(served(), "wine", record())
    source.payloads = (message(), sign(message(), KEY))
    assert scorer_of(source, *flags).score(served(), "wine", record())["version"] == "v1"


def test_a_request_that_takes_too_long_is_504_and_later_ones_find_the_model(source: Messages) -> None:
    source.go_on.clear()
    scorer = scorer_of(source, timeout_s=0.05)
    with pytest.raises(HttpError, match="try again") as refused:
        scorer.score(served(), "wine", record())
    assert refused.value.status == 504
    # Those who wait for the model take the other places too.
    statuses = set()
    for _ in range(5):
        with pytest.raises(HttpError) as refused:
            scorer.score(served(), "wine", record())
        statuses.add(refused.value.status)
    assert statuses == {503, 504}
    source.go_on.set()
    assert scorer_of(source).score(served(), "wine", record())["version"] == "v1"


def test_closing_lets_the_models_go(source: Messages) -> None:
    scorer = scorer_of(source)
    scorer.score(served(), "wine", record())
    scorer.close()
    assert scorer._parts._pool.live == 0
