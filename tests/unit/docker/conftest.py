"""docker/ as the tests see it: read once, and only as text and YAML; no Docker engine is needed."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of the Dockerfile, its continued lines joined: `COPY`, `a b c`."""

    keyword: str
    rest: str


@pytest.fixture(scope="session")
def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def services() -> dict[str, dict[str, Any]]:
    """The services of compose.yaml that start without a profile, merged keys resolved."""
    return {name: service for name, service in compose()["services"].items() if "profiles" not in service}


@pytest.fixture(scope="session")
def server_services() -> dict[str, dict[str, Any]]:
    """The services of compose.yaml with the profile `server`, merged keys resolved."""
    return {
        name: service
        for name, service in compose()["services"].items()
        if service.get("profiles") == ["server"]
    }


@pytest.fixture(scope="session")
def monitoring_services() -> dict[str, dict[str, Any]]:
    """The services of compose.yaml with the profile `monitoring`, merged keys resolved."""
    return {
        name: service
        for name, service in compose()["services"].items()
        if service.get("profiles") == ["monitoring"]
    }


@pytest.fixture(scope="session")
def compose_file() -> dict[str, Any]:
    """All of compose.yaml."""
    return compose()


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="session")
def dockerfile() -> list[Instruction]:
    """The instructions of the Dockerfile, in order."""
    return instructions("Dockerfile")


@pytest.fixture(scope="session")
def server_dockerfile() -> list[Instruction]:
    """The instructions of the server's Dockerfile, in order."""
    return instructions("Dockerfile.server")


def instructions(name: str) -> list[Instruction]:
    text = (ROOT / "docker" / name).read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


@pytest.fixture(scope="session")
def build_context() -> list[Path]:
    """What Dockerfile.dockerignore lets through: everything is shut out, then some is let in by name."""
    return let_in("Dockerfile")


@pytest.fixture(scope="session")
def server_build_context() -> list[Path]:
    """The same for the server's image."""
    return let_in("Dockerfile.server")


def let_in(name: str) -> list[Path]:
    text = (ROOT / "docker" / f"{name}.dockerignore").read_text(encoding="utf-8")
    rules = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert [rule for rule in rules[1:] if not rule.startswith("!")] == ["**/__pycache__"]
    return [Path(rule.removeprefix("!")) for rule in rules[1:-1]]
