"""Writes the completion of the commands for a shell, from the parser of the command line."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from model_serving.client.option_values import OneOf

__all__ = ["SHELLS", "completion_script"]

SHELLS = ("bash", "zsh")


@dataclass(frozen=True, slots=True)
class _Command:
    """What can follow a command. ``values`` are the allowed values of flags that have a list of them."""

    flags: tuple[str, ...]
    words: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]


def completion_script(
    parser: argparse.ArgumentParser, shell: str, others: Mapping[str, Sequence[str]] | None = None
) -> str:
    """Returns a script that a shell sources: `source <(model-serving completion bash)`.

    What has no list of values is completed with the names of files.

    Args:
        parser: the parser of the whole command line, with a parser for each command.
        shell: one of ``SHELLS``. zsh understands the script of bash, once it is told to.
        others: the flags of commands that read them by themselves.
    """
    commands = {name: _command(one) for name, one in _parsers(parser).items()}
    for name, flags in (others or {}).items():
        commands[name] = _Command(tuple(flags), (), {})
    function = "_" + "".join(letter if letter.isalnum() else "_" for letter in parser.prog)
    cases = "".join(_case(name, command) for name, command in commands.items())
    script = _SCRIPT.format(
        function=function,
        program=shlex.quote(parser.prog),
        commands=_words(commands),
        flags=_words(_flags(parser)),
        cases=cases,
    )
    return _FOR_ZSH + script if shell == "zsh" else script


def _parsers(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 - argparse offers no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def _flags(parser: argparse.ArgumentParser) -> Iterable[str]:
    return (flag for action in parser._actions for flag in action.option_strings)  # noqa: SLF001


def _command(parser: argparse.ArgumentParser) -> _Command:
    words: list[str] = []
    values: dict[str, tuple[str, ...]] = {}
    for action in parser._actions:  # noqa: SLF001
        allowed = action.type.allowed if isinstance(action.type, OneOf) else ()
        choices = tuple(map(str, action.choices or allowed))
        if not action.option_strings:
            words.extend(choices)
        elif choices:
            values |= dict.fromkeys(action.option_strings, choices)
    return _Command(tuple(_flags(parser)), tuple(words), values)


def _case(name: str, command: _Command) -> str:
    values = "".join(
        f"            {flag}) words={_words(choices)} ;;\n" for flag, choices in command.values.items()
    )
    valued = f'        case "$previous" in\n{values}        esac\n' if values else ""
    return (
        f"    {name})\n"
        f"        flags={_words(command.flags)}\n"
        f"        words={_words(command.words)}\n"
        f"{valued}"
        "        ;;\n"
    )


def _words(words: Iterable[str]) -> str:
    return shlex.quote(" ".join(words))


_FOR_ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"

_SCRIPT = """\
{function}() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="" command="${{COMP_WORDS[1]}}" flags="" words=""
    COMPREPLY=()
    if [ "$COMP_CWORD" -gt 1 ]; then
        previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    fi
    # bash makes three words of --flag=value.
    if [ "$previous" = "=" ]; then
        previous="${{COMP_WORDS[COMP_CWORD-2]}}"
    elif [ "$current" = "=" ]; then
        current=""
    fi
    if [ "$COMP_CWORD" -eq 1 ]; then
        command=""
        flags={flags}
        words={commands}
    fi
    case "$command" in
{cases}    esac
    case "$current" in
    -*) words="$flags" ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F {function} {program}
"""
