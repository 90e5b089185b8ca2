"""What a user is told about a failure: its first cause, on one line."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from flink_jobs.failures import cause_of


@dataclass(frozen=True, slots=True)
class JavaError:
    """The part of a Java exception that is used."""

    message: str | None
    cause: JavaError | None = None

    def getMessage(self) -> str | None:  # noqa: N802
        return self.message

    def getCause(self) -> JavaError | None:  # noqa: N802
        return self.cause

    def toString(self) -> str:  # noqa: N802
        return "java.lang.NullPointerException"


TRACEBACK = """java.lang.RuntimeException: Error received from SDK harness for instruction 7:
Traceback (most recent call last):
  File "keyed.py", line 8, in process
    raise ValueError("no such key")
ValueError: no such key
"""


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("the disk is full\n\tat Somewhere.java:7", "the disk is full"),
        (None, "java.lang.NullPointerException"),
        (TRACEBACK, "ValueError: no such key"),
        ("pemja.core.PythonException: <class 'RuntimeError'>: oh", "RuntimeError: oh"),
        ("<class 'model_serving.core.errors.StateTooNew'>: oh", "model_serving.core.errors.StateTooNew: oh"),
    ],
)
def test_the_first_cause_is_one_line(message: str | None, said: str) -> None:
    assert cause_of(JavaError("Recovery is suppressed", JavaError("wrapped", JavaError(message)))) == said
