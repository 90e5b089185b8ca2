"""A real Kafka on this machine: one node in KRaft mode, in a child process that ends with this process."""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
import time
import uuid
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from model_serving.client.broker.settings import LOG4J2_PROPERTIES, SecuredListener, server_properties
from model_serving.client.errors import ClientError
from model_serving.client.ports import free_port, is_free
from model_serving.messaging.access import KafkaAccess
from model_serving.messaging.connection import create_topics, wait_for_broker
from model_serving.messaging.errors import BrokerUnreachable
from model_serving.messaging.topics import TopicNames
from model_serving.runtime.class_data import kafka_class_data
from model_serving.runtime.guard import Guarded
from model_serving.runtime.jar_lock import KAFKA, pinned_jars
from model_serving.runtime.jar_source import JgoSource
from model_serving.runtime.jars import cache_folder, ensure_jars
from model_serving.runtime.java import find_java
from model_serving.runtime.progress import show_progress
from model_serving.runtime.variables import variable

__all__ = ["EmbeddedBroker", "Retention"]

_START_DEADLINE_S = 90.0
_STOP_GRACE_S = 15.0
# More options for Java, for everyone who starts a broker: the client's commands, the demo, tests.
_JVM_ARGS = variable("kafka-jvm-args")
_CONTENT = ("data", "server.properties", "log4j2.properties", "broker.log")


class Retention(Enum):
    """Whether the broker uses data from an earlier run at the start, and keeps its data at the end."""

    CLEAN = "clean"
    KEEP = "keep"


class EmbeddedBroker:
    """Kafka as a context manager: inside the block it runs and has its topics; afterwards it is gone.

    Args:
        port: the port on 127.0.0.1; a free port if None.
        folder: the folder of its data and its log; a temporary folder if None.
        retention: CLEAN starts empty and removes ``folder`` at the end; KEEP uses and keeps the data.
        topics: the topics that are created at the start if they do not exist.
        partitions: the number of partitions of each topic.
        heap_mb: the greatest heap of the broker, megabytes.
        secured: a second listener for clients with TLS or a login.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        folder: Path | None = None,
        retention: Retention = Retention.CLEAN,
        topics: TopicNames | None = None,
        partitions: int = 1,
        heap_mb: int = 1024,
        secured: SecuredListener | None = None,
    ) -> None:
        self._port = port
        self._wanted_folder = folder
        self._folder: Path | None = None
        self._retention = retention
        self._topics = topics or TopicNames()
        self._partitions = partitions
        self._heap_mb = heap_mb
        self._secured = secured
        self._process: Guarded | None = None

    @property
    def port(self) -> int:
        """The port of the running broker."""
        if self._port is None:
            raise RuntimeError("the broker has not been started")
        return self._port

    @property
    def bootstrap_servers(self) -> str:
        """The address of the running broker for a Kafka client."""
        return f"127.0.0.1:{self.port}"

    @property
    def kafka(self) -> KafkaAccess:
        """The access to the running broker for the clients of this project."""
        return KafkaAccess(self.bootstrap_servers)

    @property
    def pid(self) -> int | None:
        """The process id of the broker's guard, None before the start and after the end."""
        return None if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the broker's process runs."""
        return self._process is not None and self._process.exit_status is None

    @property
    def log_file(self) -> Path:
        """Kafka's log, with warnings and errors."""
        if self._folder is None:
            raise RuntimeError("the broker has not been started")
        return self._folder / "broker.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts Kafka, waits until it answers, and creates the topics.

        Raises:
            ClientError: the port is taken, the folder holds something else, or Kafka does not start; in the
                last case its log is kept and the error names it.
            model_serving.runtime.errors.SetupError: there is no Java 17, or a jar cannot be fetched.
        """
        if self._port is not None and not is_free(self._port):
            raise ClientError(
                f"port {self._port} is taken by another program: stop it, or choose another port with --port"
            )
        jars = ensure_jars(pinned_jars(KAFKA), cache_folder(), JgoSource(), show_progress())
        java = str(find_java().java)
        self._port = self._port or free_port()
        folder = self._prepare_folder()
        classpath = os.pathsep.join(str(jar) for jar in jars)
        properties = folder / "server.properties"
        properties.write_text(
            server_properties(
                port=self._port,
                controller_port=free_port(),
                log_dir=folder / "data",
                secured=self._secured,
            ),
            encoding="utf-8",
        )
        (folder / "log4j2.properties").write_text(LOG4J2_PROPERTIES, encoding="utf-8")
        jvm = [
            java,
            f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
            # Without this, every thread keeps an off-heap buffer as large as the largest message that it
            # ever sent.
            "-Djdk.nio.maxCachedBufferSize=262144",
            "-XX:+ExitOnOutOfMemoryError",
            f"-Xmx{self._heap_mb}m",
            *kafka_class_data().java_options,
            *shlex.split(os.environ.get(_JVM_ARGS, "")),
            "-cp",
            classpath,
        ]
        try:
            with self.log_file.open("wb") as log:
                if not (folder / "data" / "meta.properties").exists():
                    self._format(jvm, properties, log.fileno())
                self._process = Guarded(
                    [*jvm, "kafka.Kafka", str(properties)],
                    grace_s=_STOP_GRACE_S,
                    output=log,
                    remove=folder if self._retention is Retention.CLEAN else None,
                )
            admin = wait_for_broker(
                self.kafka, deadline_s=_START_DEADLINE_S, give_up=lambda: not self.is_running
            )
            create_topics(admin, self._topics, partitions=self._partitions)
        except BrokerUnreachable as error:
            raise self._failed("Kafka did not start") from error
        except BaseException:
            self.stop()
            raise

    def wait(self) -> NoReturn:
        """Waits while Kafka runs.

        Raises:
            ClientError: Kafka has ended by itself; its log is kept and the error names it.
        """
        while self.is_running:
            time.sleep(0.2)
        raise self._failed("Kafka has ended by itself")

    def stop(self) -> None:
        """Ends Kafka and waits until it is gone. Can be called more than once."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        if self._folder is not None and self._retention is Retention.CLEAN:
            _remove_content(self._folder)

    def _prepare_folder(self) -> Path:
        if self._wanted_folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="model-serving-kafka-"))
            return self._folder
        folder = self._wanted_folder.absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            strangers = {entry.name for entry in folder.iterdir()} - set(_CONTENT)
        except OSError as error:
            raise ClientError(
                f"{folder} cannot be used ({error.strerror}): choose another --data-dir"
            ) from error
        if strangers:
            raise ClientError(
                f"{folder} holds something else ('{min(strangers)}'): "
                "choose an empty or new folder as --data-dir"
            )
        if self._retention is Retention.CLEAN:
            _remove_content(folder)
            folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        return folder

    def _format(self, jvm: list[str], properties: Path, log: int) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        format_ = [
            "kafka.tools.StorageTool",
            "format",
            # The value is joined to the flag, because an id may begin with a dash.
            f"--cluster-id={cluster_id}",
            "--config",
            str(properties),
        ]
        try:
            done = subprocess.run(
                [*jvm, *format_], stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, timeout=60
            )
        except subprocess.TimeoutExpired as error:
            raise self._failed("Kafka did not start") from error
        if done.returncode:
            raise self._failed("Kafka did not start")

    def _failed(self, what: str) -> ClientError:
        """Stops the broker, keeps only its log, and returns an error that names the log."""
        log = self.log_file
        said = log.read_bytes()
        self.stop()
        self._folder = None
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(said)
        return ClientError(f"{what}: {log} says why")


def _remove_content(folder: Path) -> None:
    for name in _CONTENT:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
