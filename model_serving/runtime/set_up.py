"""Runs a step of the set-up as a program, with one line for an error."""

from __future__ import annotations

import sys
from collections.abc import Callable

from model_serving.runtime.errors import SetupError

__all__ = ["run_step"]


def run_step(step: Callable[[], None], name: str, command: str) -> int:
    """Runs ``step``, which raises SetupError if it fails.

    Args:
        step: what to do.
        name: what a line about an error begins with.
        command: what the user types to go on after an interruption.

    Returns:
        The exit status: 0; 1 for an error, with one line that says what to do; 130 when interrupted.
    """
    try:
        step()
    except SetupError as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run `{command}` again to continue", file=sys.stderr)
        return 130
    return 0
