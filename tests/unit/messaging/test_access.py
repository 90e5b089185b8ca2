"""Client properties: what Kafka's tools are told is what librdkafka is told, in its own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from model_serving.messaging.access import KafkaAccess, read_kafka_config

PLAIN = r"""
# as the broker's operator gave it
security.protocol=SASL_SSL
sasl.mechanism = PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
  username="job" password="s\\"e=c; r\\\\et";
ssl.truststore.type: PEM
ssl.truststore.location: /etc/kafka/ca.pem
ssl.endpoint.identification.algorithm=
request.timeout.ms=20000
"""


def written(folder: Path, text: str) -> str:
    file = folder / "client.properties"
    file.write_text(text)
    return str(file)


def test_a_login_over_tls_is_told_to_both_kinds_of_clients(tmp_path: Path) -> None:
    properties = read_kafka_config(written(tmp_path, PLAIN))
    assert properties == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            'username="job" password="s\\"e=c; r\\\\et";'
        ),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": "/etc/kafka/ca.pem",
        "ssl.endpoint.identification.algorithm": "",
        "request.timeout.ms": "20000",
    }
    assert KafkaAccess("kafka:9093", properties).librdkafka == {
        "bootstrap.servers": "kafka:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "PLAIN",
        "sasl.username": "job",
        "sasl.password": 's"e=c; r\\et',
        "ssl.ca.location": "/etc/kafka/ca.pem",
        "ssl.endpoint.identification.algorithm": "none",
    }


def test_flinks_connector_has_kafkas_classes_under_another_name(tmp_path: Path) -> None:
    properties = read_kafka_config(written(tmp_path, PLAIN))
    access = KafkaAccess("k:1", properties)
    login = properties["sasl.jaas.config"]
    assert access.flink == properties | {
        "sasl.jaas.config": login.replace("org.apache", "org.apache.flink.kafka.shaded.org.apache", 1)
    }
    assert KafkaAccess("k:1", access.flink).flink == access.flink


def test_certificates_of_the_clients_own(tmp_path: Path) -> None:
    files = """
security.protocol=SSL
ssl.keystore.type=PEM
ssl.keystore.location=/etc/kafka/me.pem
ssl.key.password=pw
"""
    assert KafkaAccess("k:1", read_kafka_config(written(tmp_path, files))).librdkafka == {
        "bootstrap.servers": "k:1",
        "security.protocol": "SSL",
        "ssl.certificate.location": "/etc/kafka/me.pem",
        "ssl.key.location": "/etc/kafka/me.pem",
        "ssl.key.password": "pw",
    }
    inline = "ssl.truststore.certificates=CA\nssl.keystore.certificate.chain=ME\nssl.keystore.key=KEY\n"
    assert KafkaAccess("k:1", read_kafka_config(written(tmp_path, inline))).librdkafka == {
        "bootstrap.servers": "k:1",
        "ssl.ca.pem": "CA",
        "ssl.certificate.pem": "ME",
        "ssl.key.pem": "KEY",
    }


def test_librdkafka_knows_every_name(tmp_path: Path) -> None:
    text = (
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\n"
        "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required "
        "username=a password='b c';\nssl.endpoint.identification.algorithm=https\nssl.key.password=x\n"
        "client.dns.lookup=use_all_dns_ips\n"
    )
    settings = KafkaAccess("127.0.0.1:1", read_kafka_config(written(tmp_path, text))).librdkafka
    assert (settings["sasl.username"], settings["sasl.password"]) == ("a", "b c")
    AdminClient({**settings, "log_level": 0})


def test_no_secret_is_shown(tmp_path: Path) -> None:
    access = KafkaAccess("k:1", read_kafka_config(written(tmp_path, PLAIN)))
    assert repr(access) == "KafkaAccess(bootstrap_servers='k:1')"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "group.id=mine\nbootstrap.servers=k:1\n",
            " sets bootstrap.servers, which is decided by flags: remove it from the file",
        ),
        (
            "sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true;\n",
            (
                ": sasl.jaas.config is not a login by user name and password "
                "(PlainLoginModule or ScramLoginModule)"
            ),
        ),
        (
            "sasl.jaas.config=x.PlainLoginModule required username=secret;\n",
            ": sasl.jaas.config has no username or no password",
        ),
        ("sasl.jaas.config=secret\n", ": sasl.jaas.config is not a login by user name and password ("),
        (
            "ssl.truststore.location=/etc/ca.jks\nssl.truststore.password=secret\n",
            ": ssl.truststore.location is read in PEM form only: convert the store",
        ),
        (
            "ssl.keystore.location=/me.p12\nssl.keystore.type=PKCS12\n",
            ": ssl.keystore.location is read in PEM",
        ),
        ("a=\\u12", " cannot be read (it is not a properties file in UTF-8)"),
    ],
)
def test_what_cannot_work_is_one_line_without_a_value(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ValueError, match=r"client\.properties") as wrong:
        read_kafka_config(file)
    assert str(wrong.value).startswith(f"'{file}'{said}")
    assert "secret" not in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read") as wrong:
        read_kafka_config(str(tmp_path / "none"))
    assert str(wrong.value) == f"'{tmp_path}/none' cannot be read (No such file or directory)"
