"""Jobs and client with a Kafka that needs TLS and a login; no secret can be read by others."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import psutil
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from model_serving.client import cli
from model_serving.client.broker.embedded import EmbeddedBroker
from model_serving.client.broker.settings import SecuredListener
from model_serving.client.ports import free_port
from model_serving.messaging.connection import connect, create_topics
from model_serving.messaging.topics import TopicNames
from tests.job_models import SAMPLES, sample_records
from tests.job_traffic import Traffic
from tests.jobs import SPARK_VARIANTS, FlinkRun, ServerRun, SparkRun, job_flags, run_flink, server_flags

pytestmark = pytest.mark.kafka

USER, PASSWORD = "job", 'p a"s\\s=w;ord!'
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secured(authority: trustme.CA) -> Iterator[tuple[EmbeddedBroker, str]]:
    """Runs a broker with an open listener for the test and one with a login; gives the second's address."""
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    listener = SecuredListener(
        "SASL_SSL",
        free_port(),
        {
            "sasl.enabled.mechanisms": "PLAIN",
            "plain.sasl.jaas.config": f'{_PLAIN} user_{USER}="{_quoted(PASSWORD)}";',
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": "".join(
                blob.bytes().decode() for blob in certificate.cert_chain_pems
            ),
            "ssl.keystore.key": _pkcs8(certificate.private_key_pem.bytes()),
        },
    )
    with EmbeddedBroker(secured=listener, heap_mb=512) as broker:
        yield broker, f"127.0.0.1:{listener.port}"


def _pkcs8(key: bytes) -> str:
    """Returns a private key in the only form that Kafka reads."""
    private = serialization.load_pem_private_key(key, password=None)
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


@pytest.fixture
def properties(authority: trustme.CA, tmp_path: Path) -> Path:
    """Writes a client properties file, as for Kafka's own tools."""
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    file = tmp_path / "client.properties"
    login = f'{_PLAIN} username="{USER}" password="{_quoted(PASSWORD)}";'.replace("\\", "\\\\")
    file.write_text(
        "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n"
        f"sasl.jaas.config={login}\nssl.truststore.type=PEM\nssl.truststore.location={ca}\n"
    )
    return file


def test_a_job_serves_over_tls_with_a_login_and_shows_no_secret(
    secured: tuple[EmbeddedBroker, str], properties: Path, tmp_path: Path
) -> None:
    """The broadcast job; both connect by the same code."""
    broker, address = secured
    topics = TopicNames().prefixed("broadcast-")
    create_topics(connect(broker.kafka), topics, partitions=1)
    flags = job_flags(address, topics, tmp_path / "checkpoints", topics.models)
    log = tmp_path / "job.log"
    flags += [
        "--kafka-config",
        str(properties),
        "--delivery",
        "exactly-once",
        "--checkpoint-interval-ms",
        "500",
    ]
    with (
        FlinkRun("broadcast", flags, log) as job,
        Traffic("broadcast", broker.bootstrap_servers, topics, job.check) as traffic,
    ):
        _exchange(traffic)
        pages = _web_pages(job)
    said = log.read_text()
    assert "PlainLoginModule" not in said
    assert "s=w;ord" not in said
    assert pages, "no page of the job's web server was read"
    assert not [page for page in pages if "PlainLoginModule" in page or "s=w;ord" in page]


def test_a_server_serves_over_tls_with_a_login_and_shows_no_secret(
    secured: tuple[EmbeddedBroker, str], properties: Path, tmp_path: Path
) -> None:
    broker, address = secured
    topics = TopicNames().prefixed("server-")
    create_topics(connect(broker.kafka), topics, partitions=1)
    flags = [*server_flags(address, topics, topics.models), "--kafka-config", str(properties)]
    log = tmp_path / "job.log"
    with (
        ServerRun([*flags, "--delivery", "exactly-once"], log) as job,
        Traffic("server", broker.bootstrap_servers, topics, job.check) as traffic,
    ):
        _exchange(traffic)
    wrong = _wrong(properties)
    refused = ServerRun([*flags, "--kafka-config", str(wrong)], tmp_path / "refused.log")
    with pytest.raises(AssertionError), refused:
        pass
    assert refused.process.returncode == 1
    (line,) = refused.printed().splitlines()
    assert line.startswith(f"model-serving run: Kafka at {address} does not let this client in (")
    said = log.read_text() + line
    assert "PlainLoginModule" not in said
    assert "s=w;ord" not in said
    assert "guess" not in line


@pytest.mark.parametrize("variant", SPARK_VARIANTS)
def test_a_spark_job_serves_over_tls_with_a_login_and_shows_no_secret(
    variant: str, secured: tuple[EmbeddedBroker, str], properties: Path, tmp_path: Path
) -> None:
    """Java reads and, in the keyed job, writes; Python reads models and writes in the broadcast job."""
    broker, address = secured
    topics = TopicNames().prefixed(f"{variant}-")
    create_topics(connect(broker.kafka), topics, partitions=1)
    flags = job_flags(address, topics, tmp_path / "checkpoints", topics.models)
    log = tmp_path / "job.log"
    with (
        SparkRun(variant, [*flags, "--kafka-config", str(properties)], log) as job,
        Traffic(variant, broker.bootstrap_servers, topics, job.check) as traffic,
    ):
        _exchange(traffic)
    said = log.read_text()
    assert "PlainLoginModule" not in said
    assert "s=w;ord" not in said


def _exchange(traffic: Traffic) -> None:
    """Sends a model, records and junk; waits for what follows from them."""
    traffic.serve(SAMPLES["glm"].message("wine"))
    traffic.send(*sample_records("wine", 20), b"junk")
    assert len(traffic.await_results("wine", 20)) == 20
    traffic.await_letters(lambda letter: letter.payload == b"junk", 1)


def _wrong(properties: Path) -> Path:
    """Writes the same properties with another password."""
    wrong = properties.with_name("wrong.properties")
    wrong.write_text(re.sub(r"password=.*;", 'password="guess";', properties.read_text()))
    return wrong


def _web_pages(job: FlinkRun) -> list[str]:
    """Returns the pages of the job's web server."""
    pages = []
    for process in psutil.Process(job.process.pid).children(recursive=True):
        for connection in process.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN:
                continue
            base = f"http://127.0.0.1:{connection.laddr.port}"
            for path in ("/config", "/jobmanager/config", *_of_job(job.job_id())):
                try:
                    with urllib.request.urlopen(base + path, timeout=5) as answer:
                        pages.append(json.dumps(json.load(answer)))
                except (OSError, ValueError, HTTPException):
                    continue
    return pages


def _of_job(job_id: str) -> list[str]:
    return [
        f"/jobs/{job_id}{page}" for page in ("", "/plan", "/config", "/exceptions", "/checkpoints/config")
    ]


def test_without_the_right_login_there_is_one_line(
    secured: tuple[EmbeddedBroker, str], properties: Path
) -> None:
    _, address = secured
    wrong = _wrong(properties)
    done = run_flink(
        [
            "run",
            "-py",
            "flink_jobs/keyed.py",
            "--bootstrap-servers",
            address,
            "--kafka-config",
            str(wrong),
        ],
        within_s=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"keyed.py: Kafka at {address} does not let this client in (")
    assert line.endswith("look at --kafka-config")
    assert "guess" not in line


def test_the_client_logs_in_too(
    secured: tuple[EmbeddedBroker, str],
    properties: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, address = secured
    monkeypatch.setattr("signal.signal", lambda *_: None)
    to = ["--bootstrap-servers", address, "--kafka-config", str(properties)]
    assert cli.main(["publish-data", *to, "--count", "3", "--rate", "1000"]) == 0
    assert cli.main(["read", "mdata", *to, "--count", "3", "--from-beginning", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "sent 3 records to 'mdata'"
    assert [json.loads(line)["dataType"] for line in lines[1:]] == ["wine"] * 3
    assert cli.main(["status", "--bootstrap-servers", address]) == 1
    assert capsys.readouterr().err.startswith(f"model-serving status: no Kafka answers at {address}")
