"""The file of headers for model servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_serving.core.messages import ModelType
from model_serving.core.model_servers.headers import headers_for, read_headers
from model_serving.core.model_servers.location import read_location


def test_a_header_is_for_its_place(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text(
        "# a comment\n\nhttps://one/ Authorization: Bearer a:b \nhttps://one/v1/models/wine X-Key:k\n"
        "https://two Authorization: Bearer c\n"
    )
    headers = read_headers(str(file))
    assert "Bearer" not in repr(headers)
    found = {
        url: headers_for(read_location(url, ModelType.TFSERVING), headers)
        for url in ("https://one/v1/models/wine", "https://one/v1/models/beer", "http://two/v1/models/wine")
    }
    assert found == {
        "https://one/v1/models/wine": {"Authorization": "Bearer a:b", "X-Key": "k"},
        "https://one/v1/models/beer": {"Authorization": "Bearer a:b"},
        "http://two/v1/models/wine": {},
    }


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer secret",
        "one/ Authorization: Bearer secret",
        "https:// Authorization: Bearer secret",
        "https://one Authorization Bearer secret",
        "https://one Bad Name: secret",
        "https://one Name: sécret",
        "https://one Host: secret",
        "https://one content-length: secret",
    ],
)
def test_what_is_no_header_is_refused_without_its_value(tmp_path: Path, line: str) -> None:
    file = tmp_path / "headers"
    file.write_text(f"\n{line}\n")
    with pytest.raises(ValueError, match=r"^line 2 of '.*headers'") as error:
        read_headers(str(file))
    assert "cret" not in str(error.value)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none' cannot be read \(No such file or directory\)"):
        read_headers(str(tmp_path / "none"))
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="it is not UTF-8 text"):
        read_headers(str(tmp_path / "bytes"))
