"""Reading XML: piece by piece, with the prefix of the root's namespace dropped."""

from __future__ import annotations

import time

import pytest

from model_serving.core.errors import ModelRejected
from model_serving.engines.pmml.xml_tree import MOST_LEVELS, read_xml


def test_a_document_of_many_pieces_is_read_as_a_whole_and_a_late_prefix_is_dropped_too() -> None:
    many = "".join(f'<Node id="{number}"><True/>text {number}</Node>' for number in range(20_000))
    content = f'<PMML xmlns="urn:p" xmlns:p="urn:p" xmlns:o="urn:o">{many}<p:Node id="last"/><o:Row/></PMML>'
    root = read_xml(content.encode(), 10_000_000).root
    assert [child.get("id") for child in root] == [*map(str, range(20_000)), "last", None]
    assert [root[-2].tag, root[-1].tag] == ["Node", "o:Row"]
    assert root[12_345][0].tail == "text 12345"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_prefixes_are_found_in_every_encoding(encoding: str) -> None:
    content = '<p:PMML xmlns:p="urn:p"><p:Header/></p:PMML>'.encode(encoding)
    root = read_xml(content, 10_000).root
    assert [root.tag, root[0].tag] == ["PMML", "Header"]


@pytest.mark.parametrize("prefix", ["", "p:"])
def test_a_document_may_nest_so_many_elements_and_no_more(prefix: str) -> None:
    def nested(levels: int) -> bytes:
        inner = f"<{prefix}a>" * (levels - 1) + f"</{prefix}a>" * (levels - 1)
        return f'<{prefix}a xmlns:p="urn:p" xmlns="urn:p">{inner}</{prefix}a>'.encode()

    assert read_xml(nested(MOST_LEVELS), 100_000).root.tag == "a"
    with pytest.raises(ModelRejected, match="nests more than"):
        read_xml(nested(MOST_LEVELS + 1), 100_000)


@pytest.mark.parametrize("root", ["PMML", "p:PMML"])
@pytest.mark.parametrize(
    "inside",
    [b"<!--%s-->", b"<![CDATA[%s]]>", b"<?note %s?>", b'<a b="%s"/>', b"<a>%s</a>"],
    ids=["comment", "cdata", "instruction", "attribute", "text"],
)
@pytest.mark.parametrize("filled_with", [b"x", b"<", b"> "], ids=["letters", "openings", "closings"])
def test_one_long_token_takes_time_in_proportion_to_its_length(
    root: str, inside: bytes, filled_with: bytes
) -> None:
    """Expat 2.5 begins an unfinished token again with every piece, which took a minute for 20 MB."""
    if b"<" in filled_with and (b"<a" in inside):
        filled_with = b"&lt;"
    filling = filled_with * ((8 << 20) // len(filled_with))
    rest = b"<row><value>1</value></row>" * 2_000
    document = f'<{root} xmlns:p="urn:p">'.encode() + inside % filling + rest + f"</{root}>".encode()
    start_s = time.process_time()
    read = read_xml(document, 64 << 20).root
    assert time.process_time() - start_s < 3
    assert len(read.findall("row")) == 2_000 or len(read) >= 2_000
