"""What the query server publishes is what the client publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import pytest

from model_serving.client import web_publishing
from model_serving.client.web_publishing import WebPublisher
from model_serving.core.admission.signing import check_signature
from model_serving.core.messages import Command
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.errors import BrokerUnreachable
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.query.errors import HttpError
from model_serving.query.ports import Deployment
from tests.job_models import SAMPLES

KEY = b"a key of at least sixteen bytes"
SENT: list[bytes] = []
KEYS: list[str | None] = []


class SenderHere:
    """Remembers what is sent."""

    def __init__(
        self, kafka: KafkaAccess, topic: str, *, linger_ms: float = 1.0, compressed: bool = False
    ) -> None:
        if kafka.bootstrap_servers == "away":
            raise BrokerUnreachable("away")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def send(self, message: bytes, key: str | None = None) -> None:
        SENT.append(message)
        KEYS.append(key)

    def flush(self) -> None: ...


@pytest.fixture
def upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(web_publishing, "Sender", SenderHere)
    SENT.clear()
    KEYS.clear()
    file = tmp_path / "upload"
    file.write_bytes(SAMPLES["glm"].path.read_bytes())
    return file


def publisher(key: bytes | None = None, servers: str = "here") -> WebPublisher:
    return WebPublisher(KafkaAccess(servers), "models", key)


def deployment(file: Path, **more: Any) -> Deployment:
    return Deployment("wine", file, "glm", **more)


def test_a_model_is_published_with_what_was_said_about_it(upload: Path) -> None:
    published = publisher().deploy(
        deployment(
            upload, version="7", inputs="alcohol, pH", output="value", model_type="pmml", description="d"
        )
    )
    (payload,) = SENT
    message = ModelDescriptor.FromString(payload)
    assert message.data == upload.read_bytes()
    assert (message.dataType, message.name, message.version, message.description) == ("wine", "glm", "7", "d")
    assert list(message.inputs) == ["alcohol", "pH"]
    assert message.output == ModelDescriptor.VALUE
    assert published == {
        "command": "DEPLOY",
        "dataType": "wine",
        "name": "glm",
        "version": "7",
        "modelType": 2,
        "sha256": message.sha256,
        "size": len(message.data),
        "signed": False,
    }


def test_what_is_not_said_is_told_from_the_content(upload: Path) -> None:
    published = publisher().deploy(deployment(upload))
    message = ModelDescriptor.FromString(SENT[0])
    assert message.description == "PMML model glm, uploaded"
    assert published["version"] == message.sha256[:12]


def test_messages_of_a_data_type_have_one_key_so_that_they_keep_their_order(upload: Path) -> None:
    publisher().deploy(deployment(upload))
    publisher().command(Command.ROLLBACK, "wine")
    assert KEYS == ["wine", "wine"]


def test_messages_are_signed_with_the_key(upload: Path) -> None:
    assert publisher(KEY).deploy(deployment(upload))["signed"] is True
    assert publisher(KEY).command(Command.ROLLBACK, "wine")["signed"] is True
    for payload in SENT:
        check_signature(payload, [KEY])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"model_type": "tree"}, "model_type is not one of TENSORFLOW, "),
        ({"model_type": "ONNX"}, "model_type says ONNX, but it looks like"),
        ({"output": "x"}, "output is not one of AUTO, ARGMAX, VALUE"),
        ({"inputs": "a,,b"}, "inputs has an empty name"),
        ({"signature_name": "s"}, "signature_name is for SavedModels"),
        ({"model_type": "TFSERVING"}, "is not a URL"),
    ],
)
def test_what_does_not_fit_is_refused_without_the_place_of_the_file(
    upload: Path, more: dict[str, str], said: str
) -> None:
    with pytest.raises(HttpError, match=said) as refused:
        publisher().deploy(deployment(upload, **more))
    assert refused.value.status == 400
    assert str(upload) not in refused.value.detail
    assert SENT == []


def test_what_is_not_a_model_is_refused(upload: Path) -> None:
    upload.write_bytes(b"hello")
    with pytest.raises(HttpError, match=r"^the upload is not a model that can be served") as refused:
        publisher().deploy(deployment(upload))
    assert refused.value.status == 400


def test_without_kafka_it_is_503(upload: Path) -> None:
    with pytest.raises(HttpError, match="no Kafka answers at away") as refused:
        publisher(servers="away").command(Command.REMOVE, "wine")
    assert refused.value.status == 503
