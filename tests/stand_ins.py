"""Checks that a stand-in for one of this project's functions takes the same parameters.

mypy does not check the values that ``monkeypatch.setattr`` sets. A stand-in with the parameters of an older
version would keep a test green while every real call fails.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from inspect import Parameter
from types import FunctionType

__all__ = ["check_stand_in", "replaced"]

_OURS = ("flink_jobs", "functions", "model_serving", "create_topics")
_LAMBDA = "<lambda>"


def replaced(target: object, name: object) -> tuple[object, object]:
    """Returns the replaced object of ``setattr(target, name, value)``, and the value.

    In the form ``setattr("module.name", value)``, ``name`` is the value. Returns (None, None) if there is no
    such object.
    """
    if not isinstance(target, str):
        return getattr(target, str(name), None), None
    module, _, attribute = target.rpartition(".")
    return getattr(import_module(module), attribute, None), name


def check_stand_in(original: object, stand_in: object) -> None:
    """Fails when ``stand_in`` cannot be called like ``original``, a function of this project."""
    if not (isinstance(original, FunctionType) and isinstance(stand_in, FunctionType)):
        return
    if original.__module__.partition(".")[0] not in _OURS:
        return
    wanted = inspect.signature(original).parameters
    given = inspect.signature(stand_in).parameters
    wrong = [*_missing(wanted, given, named=stand_in.__name__ != _LAMBDA), *_too_many(wanted, given)]
    assert wrong == [], (
        f"{stand_in.__qualname__} stands for {original.__module__}.{original.__qualname__}, "
        f"which takes {inspect.signature(original)}: {'; '.join(wrong)}"
    )


def _missing(wanted: Mapping[str, Parameter], given: Mapping[str, Parameter], *, named: bool) -> list[str]:
    kinds = {parameter.kind for parameter in given.values()}
    positions = [one for one in given.values() if one.kind <= Parameter.POSITIONAL_OR_KEYWORD]
    wrong = []
    for place, (name, parameter) in enumerate(wanted.items()):
        own = given.get(name)
        if own is not None and named:
            known = Parameter.empty not in (own.annotation, parameter.annotation)
            if known and own.annotation != parameter.annotation:
                wrong.append(f"'{name}' is {parameter.annotation}, not {own.annotation}")
        elif parameter.kind is Parameter.POSITIONAL_OR_KEYWORD:
            by_place = Parameter.VAR_POSITIONAL in kinds or (not named and place < len(positions))
            if own is None and not by_place:
                wrong.append(f"it does not take '{name}'")
        elif own is None and Parameter.VAR_KEYWORD not in kinds and parameter.default is Parameter.empty:
            wrong.append(f"it does not take '{name}'")
    return wrong


def _too_many(wanted: Mapping[str, Parameter], given: Mapping[str, Parameter]) -> list[str]:
    needed = [
        name
        for place, (name, parameter) in enumerate(given.items())
        if parameter.default is Parameter.empty
        and parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        and name not in wanted
        and place >= len(wanted)
    ]
    return [f"it needs '{name}', which nobody gives it" for name in needed]
