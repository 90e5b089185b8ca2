"""Access to Kafka: its address, and a file of client properties in the form that Kafka's tools take.

The same file serves Flink's connectors (Java clients) and this project's own clients (librdkafka), whose
properties have other names. Properties that librdkafka does not have are given to the Java clients only. A
property that only one kind of client understands, so that the other kind could not connect, is refused.

Java: https://kafka.apache.org/documentation/#security, librdkafka: its CONFIGURATION.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

__all__ = ["KafkaAccess", "Refusals", "read_kafka_config"]

_OURS = frozenset(
    {
        "bootstrap.servers",
        "group.id",
        "transactional.id",
        "enable.auto.commit",
        "auto.offset.reset",
        "isolation.level",
        "key.serializer",
        "value.serializer",
        "key.deserializer",
        "value.deserializer",
    }
)
"""Properties that the jobs and the client set by themselves."""

_SAME = frozenset(
    {
        "security.protocol",
        "ssl.cipher.suites",
        "ssl.key.password",
        "ssl.endpoint.identification.algorithm",
        "sasl.kerberos.service.name",
        "client.dns.lookup",
    }
)
_LOGIN = re.compile(
    r"\s*(?P<module>[\w.]+)\s+(?:required|requisite|sufficient|optional)\b(?P<options>.*)", re.DOTALL
)
_OPTION = re.compile(r"""(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s;"']+))""")
_KAFKA_CLASS = re.compile(r"(?<![\w.])org\.apache\.kafka\.(?=common\.security\.)")
_PACKAGE_IN_FLINK = "org.apache.flink.kafka.shaded.org.apache.kafka."
_PASSWORD_LOGINS = {"PlainLoginModule", "ScramLoginModule"}
_REFUSALS = {KafkaError._AUTHENTICATION, KafkaError._SSL}  # noqa: SLF001 - their public names


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """Kafka's address, and the properties of Java clients that connect to it, which may hold secrets."""

    bootstrap_servers: str
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def flink(self) -> dict[str, str]:
        """The properties for Flink's Kafka connector, whose copy of Kafka's classes has another package."""
        return {name: _KAFKA_CLASS.sub(_PACKAGE_IN_FLINK, value) for name, value in self.properties.items()}

    @property
    def librdkafka(self) -> dict[str, str]:
        """The settings of a librdkafka client.

        Raises:
            ValueError: a property asks for something that librdkafka cannot do.
        """
        return {"bootstrap.servers": self.bootstrap_servers, **_translated(self.properties)}


class Refusals:
    """Notes the errors that a librdkafka client gets in the background when Kafka does not let it in.

    The client's calls only time out then.
    """

    def __init__(self, kafka: KafkaAccess) -> None:
        self._kafka = kafka
        self._first: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the client needs so that its errors are noted."""
        return {"error_cb": self._note}

    def told_to(self, client: AdminClient) -> str | None:
        """One line for the user about the client's first refusal; None if it was not refused."""
        # The client passes on its errors when it is polled.
        client.poll(0)
        if self._first is None:
            return None
        return (
            f"Kafka at {self._kafka.bootstrap_servers} does not let this client in ({self._first}): "
            "look at --kafka-config"
        )

    def _note(self, error: KafkaError) -> None:
        if self._first is None and error.code() in _REFUSALS:
            self._first = str(error.str())


def read_kafka_config(path: str) -> dict[str, str]:
    """The properties in a file of the form that Kafka's tools take with ``--command-config``.

    Raises:
        ValueError: the file cannot be read, sets a property that flags decide, or cannot be used by both
            kinds of clients. The text names properties and never their values.
    """
    import javaproperties  # takes long to import, and few name such a file

    try:
        with Path(path).open(encoding="utf-8") as file:
            properties = dict(javaproperties.load(file))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a properties file in UTF-8"
        raise ValueError(f"'{path}' cannot be read ({why})") from None
    if taken := sorted(_OURS & properties.keys()):
        raise ValueError(f"'{path}' sets {taken[0]}, which is decided by flags: remove it from the file")
    try:
        _translated(properties)
    except ValueError as error:
        raise ValueError(f"'{path}': {error}") from None
    return properties


def _translated(properties: Mapping[str, str]) -> dict[str, str]:
    settings = {name: value for name, value in properties.items() if name in _SAME}
    if settings.get("ssl.endpoint.identification.algorithm") == "":
        settings["ssl.endpoint.identification.algorithm"] = "none"
    if mechanism := properties.get("sasl.mechanism"):
        settings["sasl.mechanisms"] = mechanism
    if login := properties.get("sasl.jaas.config"):
        settings |= _credentials(login)
    return settings | _trusted(properties) | _own_certificate(properties)


def _credentials(login: str) -> dict[str, str]:
    found = _LOGIN.match(login)
    module = found["module"].rpartition(".")[2] if found else ""
    if found is None or module not in _PASSWORD_LOGINS:
        raise ValueError(
            "sasl.jaas.config is not a login by user name and password "
            f"({' or '.join(sorted(_PASSWORD_LOGINS))})"
        )
    options = {
        name: re.sub(r"\\(.)", r"\1", quoted) if quoted else plain or bare
        for name, quoted, plain, bare in _OPTION.findall(found["options"])
    }
    if not {"username", "password"} <= options.keys():
        raise ValueError("sasl.jaas.config has no username or no password")
    return {"sasl.username": options["username"], "sasl.password": options["password"]}


def _trusted(properties: Mapping[str, str]) -> dict[str, str]:
    if "ssl.truststore.certificates" in properties:
        return {"ssl.ca.pem": properties["ssl.truststore.certificates"]}
    if "ssl.truststore.location" not in properties:
        return {}
    _check_pem("ssl.truststore", properties)
    return {"ssl.ca.location": properties["ssl.truststore.location"]}


def _own_certificate(properties: Mapping[str, str]) -> dict[str, str]:
    if "ssl.keystore.certificate.chain" in properties:
        return {
            "ssl.certificate.pem": properties["ssl.keystore.certificate.chain"],
            "ssl.key.pem": properties.get("ssl.keystore.key", ""),
        }
    if "ssl.keystore.location" not in properties:
        return {}
    _check_pem("ssl.keystore", properties)
    # One file holds the key, followed by the certificates.
    location = properties["ssl.keystore.location"]
    return {"ssl.certificate.location": location, "ssl.key.location": location}


def _check_pem(store: str, properties: Mapping[str, str]) -> None:
    if properties.get(f"{store}.type", "").upper() != "PEM":
        raise ValueError(
            f"{store}.location is read in PEM form only: convert the store (`keytool -exportcert -rfc`, "
            f"`openssl pkcs12`) and set {store}.type=PEM"
        )
