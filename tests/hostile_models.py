"""Models that an attacker would send, and the text that must be in the refusal of each."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

__all__ = [
    "NATIVE",
    "Hostile",
    "archive_bombs",
    "link_in_zip",
    "native_bombs",
    "onnx_model",
    "outward_onnx",
    "special_in_tar",
    "tensorflow_graph",
    "xml_bombs",
]


class Hostile(Mapping[str, tuple[bytes, str]]):
    """For each kind of attack: the content of the model, and a part of the text that refuses it.

    A content that takes time is made when it is asked for: the names of attacks are names of tests, which
    every process of a test run collects.
    """

    def __init__(self, attacks: Mapping[str, tuple[bytes | Callable[[], bytes], str]]) -> None:
        self._attacks = dict(attacks)

    def __getitem__(self, what: str) -> tuple[bytes, str]:
        content, says = self._attacks[what]
        if not isinstance(content, bytes):
            content = content()
            self._attacks[what] = (content, says)
        return content, says

    def __iter__(self) -> Iterator[str]:
        return iter(self._attacks)

    def __len__(self) -> int:
        return len(self._attacks)


def tensorflow_graph(build: Callable[[Any, Any], Any]) -> bytes:
    """Returns a frozen graph of two inputs; ``build`` gets TensorFlow and the sum of a row's inputs."""
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, 2], name="x")
        tf.identity(build(tf, tf.reduce_sum(x, 1)), name="y")
    return bytes(graph.as_graph_def().SerializeToString())


NATIVE = (
    "a shape that fails a check of TensorFlow",
    "a tensor of 4 TB",
    "a loop without an end",
    "an ONNX loop without an end",
)
"""The names of the attacks of ``native_bombs``, which imports TensorFlow."""


def native_bombs(trial_s: int) -> dict[str, tuple[str, bytes, str]]:
    """Returns type, content and refusal of models whose attack only a trial can find."""
    return {
        "a shape that fails a check of TensorFlow": (
            "TENSORFLOW",
            tensorflow_graph(
                lambda tf, total: total + tf.reduce_sum(tf.fill(tf.constant([2**40, 2**40], tf.int64), 1.0))
            ),
            "the model ends the process with SIGABRT",
        ),
        "a tensor of 4 TB": (
            "TENSORFLOW",
            tensorflow_graph(
                lambda tf, total: total + tf.reduce_sum(tf.fill(tf.constant([2**40], tf.int64), 1.0))
            ),
            "",
        ),
        "a loop without an end": (
            "TENSORFLOW",
            tensorflow_graph(
                lambda tf, total: (
                    total
                    + tf.compat.v1.while_loop(
                        lambda value: value < float("inf"), lambda value: value * 1.0, [tf.constant(0.0)]
                    )
                )
            ),
            f"the model is not done after {trial_s} s",
        ),
        "an ONNX loop without an end": ("ONNX", endless_onnx(), f"the model is not done after {trial_s} s"),
    }


def onnx_model(*nodes: Any, initializers: tuple[Any, ...] = (), opsets: tuple[Any, ...] = ()) -> bytes:
    """Returns an ONNX model with the input x [n, 2] and the output y [n, 1]."""
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        list(initializers),
    )
    opset_imports = [helper.make_opsetid("", 17), *opsets]
    return bytes(helper.make_model(graph, opset_imports=opset_imports, ir_version=8).SerializeToString())


def endless_onnx() -> bytes:
    """Returns a model with an endless loop: its condition is always true, and it has no counter."""
    from onnx import TensorProto, helper

    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["go_on"]),
            helper.make_node("Mul", ["value", "one"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [None, 1]),
        ],
        [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
    )
    return onnx_model(
        helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=1),
        helper.make_node("Loop", ["", "true", "sum"], ["y"], body=body),
        initializers=(
            helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
            helper.make_tensor("true", TensorProto.BOOL, [], [True]),
        ),
    )


def outward_onnx(file: str) -> Hostile:
    """Returns ONNX models with weights in ``file``, with foreign operations, or with false claims."""
    return Hostile(
        {
            "ONNX weights elsewhere": (lambda: _weights_in(file), "external data"),
            "an ONNX operator of another domain": (_foreign, "export it without custom operators"),
            "ONNX weights that are not there": (_huge_weights, "ONNX Runtime cannot load"),
        }
    )


def _weights_in(file: str) -> bytes:
    from onnx import TensorProto, helper

    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 1])
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=file)
    weights.external_data.add(key="length", value="8")
    return onnx_model(helper.make_node("MatMul", ["x", "w"], ["y"]), initializers=(weights,))


def _foreign() -> bytes:
    from onnx import helper

    custom = helper.make_node("Evil", ["x"], ["y"], domain="evil.example")
    return onnx_model(custom, opsets=(helper.make_opsetid("evil.example", 1),))


def _huge_weights() -> bytes:
    from onnx import TensorProto, helper

    huge = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 10**12], float_data=[1.0, 1.0])
    return onnx_model(helper.make_node("MatMul", ["x", "w"], ["y"]), initializers=(huge,))


def xml_bombs(file: str) -> Hostile:
    """Returns XML with document types, and XML that is only large."""
    head = '<?xml version="1.0"?>'
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    doctype = "has a DOCTYPE"
    return Hostile(
        {
            "an entity from a file": (
                f'{head}<!DOCTYPE PMML [<!ENTITY e SYSTEM "{file}">]><PMML>&e;</PMML>'.encode(),
                doctype,
            ),
            "an entity from a host": (
                f'{head}<!DOCTYPE PMML [<!ENTITY e SYSTEM "http://127.0.0.1:9/e">]><PMML>&e;</PMML>'.encode(),
                doctype,
            ),
            "a parameter entity": (
                f'{head}<!DOCTYPE PMML [<!ENTITY % e SYSTEM "{file}"> %e;]><PMML/>'.encode(),
                doctype,
            ),
            "a document type elsewhere": (f'{head}<!DOCTYPE PMML SYSTEM "{file}"><PMML/>'.encode(), doctype),
            "exponential entities": (
                f'{head}<!DOCTYPE PMML [<!ENTITY l0 "lol">{lol}]><PMML>&l9;</PMML>'.encode(),
                doctype,
            ),
            "entities of quadratic growth": (
                f'{head}<!DOCTYPE PMML [<!ENTITY a "{"a" * 50_000}">]><PMML>{"&a;" * 50_000}</PMML>'.encode(),
                doctype,
            ),
            "100,000 levels": (
                b"<PMML>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</PMML>",
                "nests more than",
            ),
            "200,000 attributes": (
                lambda: b"<PMML " + b" ".join(b'a%d="1"' % number for number in range(200_000)) + b"/>",
                "has no model in it",
            ),
            "an attribute twice": (b'<PMML a="1" a="2"/>', "duplicate attribute"),
            "a foreign encoding": (b'<?xml version="1.0" encoding="utf-7"?><PMML/>', "not a well-formed XML"),
        }
    )


@cache
def archive_bombs() -> Hostile:
    """Returns zips and tars. Those that are too large unpack to more than 64 MB."""
    zeros = bytes(100 << 20)
    return Hostile(
        {
            "a zip bomb": (lambda: _zip({"saved_model.pb": zeros}), "unpacks to more than"),
            "a zip of many that fit": (
                lambda: _zip(
                    {"saved_model.pb": b""} | {f"{number}": zeros[: 8 << 20] for number in range(9)}
                ),
                "unpacks to more than",
            ),
            "a zip that lies of its sizes": (_lying_zip, ""),
            "a gzip bomb": (lambda: _tar({"saved_model.pb": zeros}, "gz"), "unpacks to more than"),
            "a bzip2 bomb": (lambda: _tar({"saved_model.pb": zeros}, "bz2"), "unpacks to more than"),
            "an xz bomb": (lambda: _tar({"saved_model.pb": zeros}, "xz"), "unpacks to more than"),
            "a tar header of a gigabyte": (_long_header, "a header of"),
            "too many empty files": (
                lambda: _zip({str(number): b"" for number in range(10_001)}),
                "more than 10,000",
            ),
            "too many empty files in a tar": (
                lambda: _tar({str(number): b"" for number in range(10_001)}, "gz"),
                "more than 10,000",
            ),
            "too many folders": (
                lambda: _tar({f"{number}/": None for number in range(10_001)}, "gz"),
                "more than 10,000",
            ),
            "a name of 10,000 characters": (
                lambda: _zip({"n" * 10_000: b""}),
                "has a name of 10,000 characters",
            ),
            "a path of 1,000 parts": (lambda: _tar({"a/" * 999 + "b": b""}), "1,000 parts"),
            "a path of 400 parts": (lambda: _zip({"a/" * 399 + "b": b""}), "400 parts"),
            "the same name twice": (_twice(), "cannot be unpacked"),
            "a file that is a folder too": (_zip({"a": b"", "a/b": b""}), "cannot be unpacked"),
            "a way up": (_tar({"../saved_model.pb": b""}), "unsafe entry"),
            "a way up in the middle": (_zip({"a/../../saved_model.pb": b""}), "unsafe entry"),
            "an absolute path": (_zip({"/tmp/saved_model.pb": b""}), "unsafe entry"),
            "a backslash": (_tar({"..\\saved_model.pb": b""}), "unsafe entry"),
            "a drive": (_tar({"C:\\saved_model.pb": b""}), "unsafe entry"),
            "an encrypted zip": (_encrypted(), "cannot be unpacked"),
            "a link": (special_in_tar(tarfile.SYMTYPE), "not a plain file"),
            "a hard link": (special_in_tar(tarfile.LNKTYPE), "not a plain file"),
            "a device": (special_in_tar(tarfile.CHRTYPE), "not a plain file"),
            "a block device": (special_in_tar(tarfile.BLKTYPE), "not a plain file"),
            "a pipe": (special_in_tar(tarfile.FIFOTYPE), "not a plain file"),
            "a link in a zip": (link_in_zip(), "not a plain file"),
        }
    )


def _zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _tar(files: dict[str, bytes | None], compression: str = "") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            member.size = len(content or b"")
            archive.addfile(member, io.BytesIO(content or b""))
    return packed.getvalue()


def _lying_zip() -> bytes:
    """Returns a zip with 100 MB whose two size fields both say 10 bytes."""
    content = bytes(100 << 20)
    return _zip({"saved_model.pb": content}).replace(len(content).to_bytes(4, "little"), b"\x0a\0\0\0")


def _long_header() -> bytes:
    """Returns a tar whose first header is followed by a gigabyte of attributes, as it says."""
    import gzip

    member = tarfile.TarInfo("attributes")
    member.type, member.size = tarfile.XHDTYPE, 1 << 30
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as stream:
        stream.write(member.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(64):
            stream.write(bytes(1 << 20))
    return packed.getvalue()


def _twice() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("saved_model.pb"))
    return packed.getvalue()


def _encrypted() -> bytes:
    """Returns the zip with the flag for encryption set in both places."""
    whole = bytearray(_zip({"saved_model.pb": b"content"}))
    whole[6] |= 1
    whole[whole.index(b"PK\x01\x02") + 8] |= 1
    return bytes(whole)


def special_in_tar(kind: bytes) -> bytes:
    """Returns a tar whose only entry is of this kind, such as ``tarfile.SYMTYPE``."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("saved_model.pb")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    return packed.getvalue()


def link_in_zip() -> bytes:
    """Returns a zip whose only entry is a symbolic link."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        link = zipfile.ZipInfo("saved_model.pb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return packed.getvalue()
