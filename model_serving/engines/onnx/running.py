"""Runs an ONNX Runtime session."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from model_serving.engines.onnx.refusals import run_failure
from model_serving.engines.tensors.one_record import BoundRun
from model_serving.engines.tensors.reading import Tensor

__all__ = ["SessionRun"]

_BINDABLE = "biuf"
"""The kinds of numpy types that can be bound. Text cannot."""


class SessionRun:
    """Computes some outputs of a session: a ``tensors.model.Run`` that can be bound."""

    def __init__(self, session: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Keeps the session.

        Args:
            session: an ``InferenceSession``.
            inputs: the names of the inputs, in the order of the tensors.
            outputs: the names of the outputs to compute.
        """
        self._session = session
        self._inputs, self._outputs = list(inputs), list(outputs)
        # What InferenceSession.run calls after it has looked up the inputs' names, which takes 2 of 8 µs.
        self._run = session._sess.run  # noqa: SLF001

    def __call__(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Returns the outputs. Raises ScoringFailed."""
        try:
            answers: Sequence[Tensor] = self._run(
                self._outputs, dict(zip(self._inputs, tensors, strict=False)), None
            )
        except Exception as error:
            raise run_failure(error) from error
        return answers

    def bind(self, tensors: Sequence[Tensor]) -> BoundRun:
        """Returns a run for what these tensors will hold. Raises ScoringFailed.

        Without a binding, ONNX Runtime makes values of its own from the tensors of each call, and new arrays
        of its answers, which takes as long as a small model.
        """
        answers = self(tensors)
        if all(each.dtype.kind in _BINDABLE for each in (*tensors, *answers)):
            with suppress(Exception):  # whatever it cannot bind is run without
                bound = self._bound(tensors, answers)
                if all(one.tobytes() == other.tobytes() for one, other in zip(bound(), answers, strict=True)):
                    return bound
        return partial(self._run, self._outputs, dict(zip(self._inputs, tensors, strict=True)), None)

    def _bound(self, tensors: Sequence[Tensor], answers: Sequence[Tensor]) -> BoundRun:
        """Returns a run whose outputs are like ``answers``. Raises what the library raises."""
        given = [np.zeros_like(answer, order="C") for answer in answers]
        binding = self._session.io_binding()
        for bind, names, arrays in (
            (binding.bind_input, self._inputs, tensors),
            (binding.bind_output, self._outputs, given),
        ):
            for name, array in zip(names, arrays, strict=True):
                bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        return _Binding(self._session, binding, tensors, given).run


class _Binding:
    """A session, its binding, and the arrays of which the binding knows only the addresses."""

    __slots__ = ("_bound", "_given", "_run", "_taken")

    def __init__(self, session: Any, binding: Any, taken: Sequence[Tensor], given: Sequence[Tensor]) -> None:
        # What InferenceSession.run_with_iobinding calls.
        self._run, self._bound = session._sess.run_with_iobinding, binding._iobinding  # noqa: SLF001
        self._taken, self._given = taken, given

    def run(self) -> Sequence[Tensor]:
        """See ``BoundRun``."""
        self._run(self._bound, None)
        return self._given
