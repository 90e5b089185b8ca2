"""Adds JSON to Flink's logging configurations: one object a line where MODEL_SERVING_LOG_FORMAT is ``json``.

Log4j reads the variable when a process starts. Any other value, or none, gives Flink's own lines.
"""

from __future__ import annotations

import re

from model_serving.runtime.variables import variable

__all__ = ["with_json"]

_PATTERN = re.compile(r"^(?P<layout>\S+\.layout)\.pattern *= *(?P<text>.*)$", re.MULTILINE)
_JSON = (
    '{"time":"%d{yyyy-MM-dd\'T\'HH:mm:ss.SSS\'Z\'}{UTC}","level":"%p","logger":"%enc{%c}{JSON}",'
    '"thread":"%enc{%t}{JSON}","message":"%enc{%m}{JSON}","thrown":"%enc{%xEx}{JSON}"}%n'
)


def with_json(configuration: str) -> str:
    """Returns a Log4j configuration (properties) whose pattern layouts can also write JSON."""
    found = _PATTERN.search(configuration)
    if found is None:
        return configuration
    chosen = f"${{${{env:{variable('log_format')}:-text}}:-${{text}}}}"
    # Log4j adds the stack trace to a line by itself. In JSON it has to be inside the object.
    layouts = _PATTERN.sub(
        lambda match: (
            f"{match['layout']}.pattern = {chosen}\n{match['layout']}.alwaysWriteExceptions = false"
        ),
        configuration,
    )
    return f"property.text = {found['text']}%xEx\nproperty.json = {_JSON}\n{layouts}"
