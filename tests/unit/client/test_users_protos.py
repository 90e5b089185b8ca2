"""A user's own folders ``protos`` and ``client``, and messages with this project's names, break nothing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROTO = """syntax = "proto3";
message Sensor {
  string dataType = 1;
  int64 ts = 2;
  optional float temperature = 3;
  int32 people = 4;
}
// The name of one of this project's messages, with other fields.
message WineRecord {
  string dataType = 1;
  double sugar = 2;
}
message ModelDescriptor {
  string dataType = 1;
  bool good = 2;
}
"""

PROGRAM = """
import sys
from model_serving.client import cli, publishing
from model_serving.protos.modeldescriptor_pb2 import ModelDescriptor
from model_serving.protos.winerecord_pb2 import WineRecord
from model_serving.wire import RecordCodec

sent = []

class Sender:
    def __init__(self, *_): pass
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def send(self, payload, key=None): sent.append(payload)
    def serve(self): pass

publishing.Sender = Sender
record_type, csv_file = sys.argv[1:]
status = cli.main(["publish-data", csv_file, "--record-type", record_type, "--rate", "1000"])
(batch,) = RecordCodec(record_type).decode(sent).batches
fields = batch.features.columns(RecordCodec(record_type).schema.numeric)
ours = [WineRecord(pH=3.5).pH, ModelDescriptor(name="m").name]
print([status, RecordCodec(record_type).schema.name, batch.data_type, fields.tolist(), ours])
"""


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a user's folder: ``protos`` generated from two similar .proto files, and a ``client``."""
    if importlib.util.find_spec("grpc_tools") is None:
        pytest.skip("grpcio-tools is not installed: it generates the user's messages")
    folder = tmp_path_factory.mktemp("user")
    (folder / "client").mkdir()
    (folder / "client" / "__init__.py").write_text("raise ImportError('this is the client of the user')\n")
    (folder / "protos").mkdir()
    (folder / "protos" / "sensor.proto").write_text(PROTO)
    (folder / "protos" / "winerecord.proto").write_text(
        PROTO.replace("Sensor", "Cellar").replace("ModelD", "D")
    )
    for name in ("sensor", "winerecord"):
        (folder / "protos" / f"{name}.csv").write_text(
            "dataType,temperature,people\nroom,21.5,3.0\nroom,,4\n"
            if name == "sensor"
            else "dataType,sugar\nred,1.5\nred,2.5\n"
        )
        # Each file is generated alone, because the two would clash in one program.
        subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--python_out=.", f"protos/{name}.proto"],
            cwd=folder,
            check=True,
        )
    return folder


@pytest.mark.parametrize(
    ("record_type", "file", "said"),
    [
        (
            "protos.sensor_pb2:Sensor",
            "sensor.csv",
            "[0, 'Sensor', 'room', [[21.5, 3.0], [nan, 4.0]], [3.5, 'm']]",
        ),
        (
            "protos.winerecord_pb2:WineRecord",
            "winerecord.csv",
            "[0, 'WineRecord', 'red', [[1.5], [2.5]], [3.5, 'm']]",
        ),
    ],
)
def test_a_users_messages_and_this_projects_go_together(
    users: Path, record_type: str, file: str, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, record_type, f"protos/{file}"],
        cwd=users,
        env={**os.environ, "PYTHONPATH": str(users)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        0,
        f"protos/{file}: records have the data type in their column, or 'wine' if it is empty\n",
    )
    assert done.stdout.splitlines()[-1] == said


def test_the_command_itself_starts_beside_a_users_folders(users: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "model_serving.client.cli",
            "publish-data",
            "--record-type",
            "protos.sensor_pb2:X",
        ],
        cwd=users,
        env={**os.environ, "PYTHONPATH": str(users)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "--record-type: the module protos.sensor_pb2 has no protobuf message X" in done.stderr
