"""The Flink home in the venv: the pip package's distribution with this project's configuration and connector.

    <sys.prefix>/flink/
        bin/      copies (with a link, Flink's scripts would use the pip package's folder as the home), two
                  of them changed
        lib/      links to the package's jars, its flink-python jar and its reporter for Prometheus; the Kafka
                  connector and the libraries for compressed batches are copied, because the cache may be
                  cleared; this project's part of the reporter
        opt/ plugins/   links to the package's files; the plugin for Prometheus is in lib
        conf/     the package's files, replaced by this project's (runtime/conf)
        log/ run/ written by Flink; kept when the home is assembled again

The home is assembled in another folder and then renamed. A stamp of all inputs shows whether it is current.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from model_serving.runtime.errors import FlinkHomeError
from model_serving.runtime.log_formats import with_json

__all__ = [
    "REPORTER_JAR",
    "REPORTER_PLUGIN",
    "FlinkHome",
    "assemble",
    "config_text",
    "derive_conf",
    "flink_home",
    "installed_distribution",
]

_STAMP = ".stamp"
_CONF = files("model_serving.runtime") / "conf"
_CONFIG = "config.yaml"
# Flink's own reporter for Prometheus listens on every address of the machine; this one adds an option for the
# address. Both are in lib, because the minicluster of a local run does not load plugins.
REPORTER_JAR = files("model_serving.runtime") / "reporter" / "prometheus-host-reporter.jar"
REPORTER_PLUGIN = "metrics-prometheus"
_KEPT = ("log", "run")
# Thread mode loads Python's native bridge from this jar in every job of a TaskManager, so it must be in
# Flink's own lib folder.
_PYTHON_JAR = "flink-python-*.jar"
# Flink's build needs the options for this module, but jobs do not. A Java without a compiler warns about each
# of them, five lines at every start.
_COMPILER_MODULE = "jdk.compiler/"
# Every script of the distribution sources config.sh. This hook tells `start-cluster.sh` and the other scripts
# which Java and which Python to use, also when they are not called by this project's `flink` command.
_ENVIRONMENT_HOOK = """\
if [ "$MODEL_SERVING_ENVIRONMENT" != "{home}" ]; then
    _model_serving_environment="$("{python}" -m model_serving.runtime.environment)" || exit 1
    eval "$_model_serving_environment"
fi
"""
# Each script starts Java once more to read the configuration: half a second of processor time each time. What
# Java says depends on config.yaml alone, so Java is asked once for each text of that file. The answer is kept
# beside the file, below the file's checksum. In a folder that is read-only, Java is asked each time. After a
# failure of Java the answer is empty, and is not kept.
_CONFIG_READ = (
    'YAML_CONF=$(updateAndGetFlinkConfiguration "${FLINK_CONF_DIR}" "${FLINK_BIN_DIR}" ${FLINK_LIB_DIR} '
    "-flatten)"
)
_CONFIG_KEPT = f"""\
_model_serving_kept="$FLINK_CONF_DIR/.config.flat"
_model_serving_sum="$(cksum < "$FLINK_CONF_DIR/config.yaml")"
if [ "$(head -n 1 "$_model_serving_kept" 2> /dev/null)" = "$_model_serving_sum" ]; then
    YAML_CONF="$(tail -n +2 "$_model_serving_kept")"
elif {_CONFIG_READ} && [ -n "$YAML_CONF" ]; then
    {{ printf '%s\\n%s\\n' "$_model_serving_sum" "$YAML_CONF" > "$_model_serving_kept.$$" \\
        && mv -f "$_model_serving_kept.$$" "$_model_serving_kept"; }} 2> /dev/null || :
fi"""
# That call of Java takes half its processor time when Java does not begin to optimize what runs for a second.
_CONFIG_READER = "bash-java-utils.sh"
_QUICKLY = ('"${JAVA_RUN}" -classpath', '"${JAVA_RUN}" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -classpath')


@dataclass(frozen=True, slots=True)
class FlinkHome:
    """An assembled Flink home."""

    path: Path

    @property
    def conf(self) -> Path:
        """The configuration folder, for FLINK_CONF_DIR."""
        return self.path / "conf"

    @property
    def command(self) -> Path:
        """Flink's own command line."""
        return self.path / "bin" / "flink"

    @property
    def class_data(self) -> Path:
        """The archive of Flink's classes, which is kept when the home is assembled again."""
        return self.path.with_name(f"{self.path.name}.jsa")

    @property
    def is_assembled(self) -> bool:
        """Whether an assembly was ever completed here."""
        return (self.path / _STAMP).is_file()


def flink_home() -> FlinkHome:
    """Returns the Flink home of the running interpreter's environment, assembled or not."""
    return FlinkHome(Path(sys.prefix) / "flink")


def installed_distribution() -> Path:
    """Returns the folder of the pip package that holds the distribution.

    Raises:
        FlinkHomeError: the package is not installed.
    """
    spec = find_spec("pyflink")
    if spec is None or spec.origin is None:
        raise FlinkHomeError(
            "apache-flink is not installed in this environment: run `make install` with Python 3.11 or 3.12 "
            "(Flink has no package for later ones; `model-serving run` serves without Flink)"
        )
    return Path(spec.origin).parent


def config_text(distribution: Path, home: Path, python: Path) -> str:
    """Returns config.yaml for a home at `home`.

    The Java options are the distribution's own, without those that jobs do not need.

    Raises:
        FlinkHomeError: the distribution's configuration cannot be read, or has no Java options.
    """
    template = (_CONF / _CONFIG).read_text(encoding="utf-8")
    archive = FlinkHome(home).class_data
    return template.format(
        java_options=_java_options(distribution), class_data=archive, home=home, python=python
    )


def assemble(home: FlinkHome, distribution: Path, connectors: Sequence[Path], python: Path) -> bool:
    """Assembles `home` from the inputs, if it is not current.

    Returns:
        Whether the home was assembled; False if it was current already.

    Raises:
        FlinkHomeError: the home cannot be assembled; the old home, if any, is unchanged.
    """
    config = config_text(distribution, home.path, python)
    stamp = _stamp(distribution, connectors, config)
    if _is_current(home, stamp):
        return False
    home.path.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".flink-", dir=home.path.parent))
    try:
        building.chmod(0o755)
        _fill(building, home.path, distribution, connectors, config, python)
        files = sorted(str(path.relative_to(building)) for path in building.rglob("*") if not path.is_dir())
        (building / _STAMP).write_text("\n".join([stamp, *files]), encoding="utf-8")
        _put_in_place(building, home.path)
    except OSError as failure:
        raise FlinkHomeError(
            f"{home.path} cannot be assembled ({failure}); fix this and run `make install` again"
        ) from failure
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return True


def derive_conf(home: FlinkHome, folder: Path, settings: Mapping[str, str | int]) -> None:
    """Makes `folder` a copy of the home's configuration folder, changed by `settings` (dotted keys).

    It is for a second cluster on this machine, with other ports or other memory. FLINK_CONF_DIR must then
    name `folder`.
    """
    shutil.copytree(home.conf, folder, dirs_exist_ok=True)
    nested = yaml.safe_load((home.conf / _CONFIG).read_text(encoding="utf-8"))
    flat = {**dict(_flatten(nested)), **settings}
    (folder / _CONFIG).write_text(yaml.safe_dump(flat, width=10_000), encoding="utf-8")


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | int]]:
    for key, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _fill(
    building: Path, home: Path, distribution: Path, connectors: Sequence[Path], config: str, python: Path
) -> None:
    shutil.copytree(distribution / "bin", building / "bin")
    script = building / "bin" / "config.sh"
    first, _, rest = script.read_text(encoding="utf-8").partition("\n")
    script.write_text(
        f"{first}\n{_ENVIRONMENT_HOOK.format(home=home, python=python)}"
        f"{rest.replace(_CONFIG_READ, _CONFIG_KEPT)}",
        encoding="utf-8",
    )
    reader = building / "bin" / _CONFIG_READER
    reader.write_text(reader.read_text(encoding="utf-8").replace(*_QUICKLY), encoding="utf-8")
    for folder in ("lib", "opt", "plugins"):
        _link_tree(distribution / folder, building / folder)
    for jar in sorted((distribution / "opt").glob(_PYTHON_JAR)):
        (building / "lib" / jar.name).symlink_to(jar)
    for jar in sorted((building / "plugins" / REPORTER_PLUGIN).glob("*.jar")):
        jar.rename(building / "lib" / jar.name)
    (building / "plugins" / REPORTER_PLUGIN).rmdir()
    for jar in (*connectors, Path(str(REPORTER_JAR))):
        # With its time, by which Java knows the jar that is in its archive of classes.
        shutil.copy2(jar, building / "lib" / jar.name)
    shutil.copytree(distribution / "conf", building / "conf")
    for ours in _CONF.iterdir():
        text = config if ours.name == _CONFIG else ours.read_text(encoding="utf-8")
        (building / "conf" / ours.name).write_text(text, encoding="utf-8")
    for log4j in (building / "conf").glob("log4j*.properties"):
        log4j.write_text(with_json(log4j.read_text(encoding="utf-8")), encoding="utf-8")
    for folder in _KEPT:
        (building / folder).mkdir()


def _link_tree(source: Path, target: Path) -> None:
    target.mkdir()
    for entry in sorted(source.iterdir()):
        if entry.is_dir():
            _link_tree(entry, target / entry.name)
        else:
            (target / entry.name).symlink_to(entry)


def _put_in_place(building: Path, home: Path) -> None:
    if not home.exists():
        building.rename(home)
        return
    for folder in _KEPT:
        if (home / folder).is_dir():
            (building / folder).rmdir()
            shutil.copytree(home / folder, building / folder)
    retired = Path(tempfile.mkdtemp(prefix=".flink-old-", dir=home.parent))
    try:
        home.rename(retired / "home")
        building.rename(home)
    finally:
        shutil.rmtree(retired, ignore_errors=True)


def _is_current(home: FlinkHome, stamp: str) -> bool:
    """Whether the home was made from these inputs, and all its files (and links' targets) still exist."""
    try:
        made_of, *names = (home.path / _STAMP).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    return made_of == stamp and all((home.path / name).exists() for name in names)


def _stamp(distribution: Path, connectors: Sequence[Path], config: str) -> str:
    digest = hashlib.sha256()
    for part in _inputs(distribution, connectors, config):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _inputs(distribution: Path, connectors: Sequence[Path], config: str) -> Iterator[str]:
    yield config
    for ours in sorted(_CONF.iterdir(), key=lambda entry: entry.name):
        yield ours.read_text(encoding="utf-8")
    yield hashlib.sha256(REPORTER_JAR.read_bytes()).hexdigest()
    # These modules decide the layout and the logs, so their text is an input too.
    for module in (Path(__file__), Path(with_json.__code__.co_filename)):
        yield module.read_text(encoding="utf-8")
    yield str(distribution)
    for folder in ("bin", "lib", "opt", "conf"):
        for entry in sorted((distribution / folder).iterdir()):
            yield f"{folder}/{entry.name} {entry.stat().st_size}"
    for connector in connectors:
        yield connector.name


def _java_options(distribution: Path) -> str:
    own = distribution / "conf" / _CONFIG
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError as failure:
        raise FlinkHomeError(f"{own} cannot be read; run `make clean install`") from failure
    for line in lines:
        key, _, value = line.strip().partition(": ")
        if key == "all":
            return " ".join(option for option in value.split() if _COMPILER_MODULE not in option)
    raise FlinkHomeError(f"{own} has no Java options; run `make clean install`")
