"""Reading XML: piece by piece, with the prefix of the root's namespace dropped."""

from __future__ import annotations

import pytest

from model_serving.core.errors import ModelRejected
from model_serving.engines.pmml.xml_tree import MOST_LEVELS, read_xml


def test_a_document_of_many_pieces_is_read_as_a_whole_and_a_late_prefix_is_dropped_too() -> None:
    many = "".join(f'<Node id="{number}"><True/>text {number}</Node>' for number in range(20_000))
    content = f'<PMML xmlns="urn:p" xmlns:p="urn:p" xmlns:o="urn:o">{many}<p:Node id="last"/><o:Row/></PMML>'
    root = read_xml(content.encode(), 10_000_000)
    assert [child.get("id") for child in root] == [*map(str, range(20_000)), "last", None]
    assert [root[-2].tag, root[-1].tag] == ["Node", "o:Row"]
    assert root[12_345][0].tail == "text 12345"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_prefixes_are_found_in_every_encoding(encoding: str) -> None:
    content = '<p:PMML xmlns:p="urn:p"><p:Header/></p:PMML>'.encode(encoding)
    root = read_xml(content, 10_000)
    assert [root.tag, root[0].tag] == ["PMML", "Header"]


@pytest.mark.parametrize("prefix", ["", "p:"])
def test_a_document_may_nest_so_many_elements_and_no_more(prefix: str) -> None:
    def nested(levels: int) -> bytes:
        inner = f"<{prefix}a>" * (levels - 1) + f"</{prefix}a>" * (levels - 1)
        return f'<{prefix}a xmlns:p="urn:p" xmlns="urn:p">{inner}</{prefix}a>'.encode()

    assert read_xml(nested(MOST_LEVELS), 100_000).tag == "a"
    with pytest.raises(ModelRejected, match="nests more than"):
        read_xml(nested(MOST_LEVELS + 1), 100_000)
