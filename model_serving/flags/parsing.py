"""Reads flags from a command line and the environment; an error is one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from model_serving.flags.values import Wrong
from model_serving.runtime.variables import variable

__all__ = ["Flag", "FlagParser"]


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag: its name without dashes, its default as a user would type it, how its text is read.

    ``read`` raises ``Wrong`` for a text that the flag does not take. A switch may be given without a value.
    """

    name: str
    default: str
    read: Callable[[str], Any]
    help: str
    is_switch: bool = False

    @property
    def attribute(self) -> str:
        """The name of the flag's value in the result of parsing."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that is read if the flag is not given."""
        return variable(self.name)


class FlagParser:
    """Reads a program's flags; a wrong flag ends the program with status 2 and one line on stderr."""

    def __init__(self, flags: Iterable[Flag], *, program: str, description: str) -> None:
        self._flags = tuple(flags)
        self._parser = _Parser(prog=program, description=description, allow_abbrev=False)
        for flag in self._flags:
            about = f"{flag.help} (default: {flag.default or 'off'}; {flag.variable})"
            if flag.is_switch:
                self._parser.add_argument(f"--{flag.name}", nargs="?", const="true", help=about)
            else:
                self._parser.add_argument(f"--{flag.name}", help=about, metavar="VALUE")

    def parse(self, argv: Sequence[str], environ: Mapping[str, str]) -> dict[str, Any]:
        """The value of each flag, by its attribute: from the command line, the environment or the default.

        Raises:
            SystemExit: a flag is wrong (status 2, one line on stderr), or help was asked for (status 0).
        """
        given = vars(self._parser.parse_args(argv))
        values: dict[str, Any] = {}
        for flag in self._flags:
            text, source = given[flag.attribute], f"--{flag.name}"
            if text is None and flag.variable in environ:
                text, source = environ[flag.variable], f"--{flag.name} (from {flag.variable})"
            try:
                values[flag.attribute] = flag.read(flag.default if text is None else text)
            except Wrong as wrong:
                self.refuse(f"{source}: {wrong}")
        return values

    def refuse(self, why: str) -> NoReturn:
        """Ends the program as for a wrong flag; call it for values that contradict each other."""
        self._parser.error(why)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # Without argparse's usage text, which is so long that it would hide the error.
        print(f"{self.prog}: {' '.join(message.split())}", file=sys.stderr)
        raise SystemExit(2)
