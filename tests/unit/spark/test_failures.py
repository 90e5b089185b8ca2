"""The one line about a failure that Spark tells in hundreds."""

from __future__ import annotations

from typing import Any

from model_serving.spark.failures import cause_of, line_of

PYTHON = """\
[STREAM_FAILED] Query [id = 1, runId = 2] terminated with exception: Traceback (most recent call last):
  File "task.py", line 3, in __call__
    raise ValueError("the engine is broken")
ValueError: the engine is broken

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:645)
\tat org.apache.spark.sql.execution.python.PythonArrowOutput$$anon$1.read(PythonArrowOutput.scala:142)
"""


class Java:
    """A Java exception as Py4J shows it."""

    def __init__(self, message: str | None, cause: Any = None) -> None:
        self._message, self._cause = message, cause

    def getMessage(self) -> str | None:  # noqa: N802
        return self._message

    def getCause(self) -> Any:  # noqa: N802
        return self._cause

    def toString(self) -> str:  # noqa: N802
        return "org.example.Failure"


class Wrapped(Exception):
    java_exception: Any = None


def wrapped(java: Java) -> Wrapped:
    error = Wrapped("An error occurred while calling o1.start.\n: org.example.Failure")
    error.java_exception = java
    return error


def test_a_python_error_is_named_by_the_last_line_of_its_traceback() -> None:
    assert line_of(PYTHON) == "ValueError: the engine is broken"


def test_any_other_message_says_it_in_its_first_line() -> None:
    assert line_of("Topic gone\nsee the log\n\tat x") == "Topic gone"
    assert line_of("gone\n\nJVM stacktrace:\njava.lang.X") == "gone"
    assert line_of("") == ""


def test_the_first_cause_of_a_java_exception_is_told() -> None:
    assert cause_of(wrapped(Java("outer", Java("inner\nmore")))) == "inner"
    assert cause_of(wrapped(Java(None))) == "org.example.Failure"


def test_a_python_exception_is_told_by_its_text_or_its_name() -> None:
    assert cause_of(ValueError("one\ntwo")) == "one"
    assert cause_of(TimeoutError()) == "TimeoutError"
