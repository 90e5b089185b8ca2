"""The locations of models that a model server scores."""

from __future__ import annotations

import pytest

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType
from model_serving.core.model_servers.location import is_under, read_location, type_of_location

TF, OIP = ModelType.TFSERVING, ModelType.OPENINFERENCE


@pytest.mark.parametrize(
    ("text", "kind", "canonical"),
    [
        ("http://host:8501/v1/models/wine", TF, "http://host:8501/v1/models/wine"),
        ("HTTP://Host:8501/v1/models/Wine/", TF, "http://host:8501/v1/models/Wine"),
        ("http://host:80/v1/models/wine/versions/3", TF, "http://host/v1/models/wine/versions/3"),
        ("https://host:443/v1/models/wine/labels/stable", TF, "https://host/v1/models/wine/labels/stable"),
        ("https://host/team/a/v2/models/wine", OIP, "https://host/team/a/v2/models/wine"),
        (
            "http://[::1]:8080/v2/models/wine/versions/v-1",
            OIP,
            "http://[::1]:8080/v2/models/wine/versions/v-1",
        ),
        ("http://host/v1/v2/models/models", OIP, "http://host/v1/v2/models/models"),
        ("http://host/v2/models/na%20me", OIP, "http://host/v2/models/na%20me"),
    ],
)
def test_all_spellings_of_a_location_have_one_text(text: str, kind: ModelType, canonical: str) -> None:
    assert str(read_location(text, kind)) == canonical
    assert str(read_location(canonical, kind)) == canonical
    assert type_of_location(text) is kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wine",
        "/v1/models/wine",
        "ftp://host/v1/models/wine",
        "grpc://host:8500/wine",
        "http:///v1/models/wine",
        "http://host/models/wine",
        "http://host/v1/models/",
        "http://host/v1/models/wine:predict",
        "http://host/v1/models/wine/metadata",
        "http://host/v1/models/wine/versions/",
        "http://host/v1/models/wine/versions/new",
        "http://host/v1/models/wine?x=1",
        "http://host/v1/models/wine#x",
        "http://user:secret@host/v1/models/wine",
        "http://host:0/v1/models/wine",
        "http://host:65536/v1/models/wine",
        "http://host:x/v1/models/wine",
        "http://ho st/v1/models/wine",
        "http://host/v1/models/wi\nne",
        "http://hôst/v1/models/wine",
        "http://[::1/v1/models/wine",
        "http://host/a/../v1/models/wine",
        "http://host/%2E%2e/v1/models/wine",
        "http://host/v1/models/..",
        "http://host/v1/models/a%2fb",
        "http://host/v1/models/a%252fb",
        "http://host/v1/models/a%00",
        "http://host/v2/models/wine/labels/stable",
        "http://host/v1/models/" + "a" * 3000,
    ],
)
def test_what_is_no_location_is_refused(text: str) -> None:
    assert type_of_location(text) is None
    for kind in (TF, OIP):
        with pytest.raises(
            ModelRejected, match=f"^a model of the type {kind.name} needs a location like http"
        ) as no:
            read_location(text, kind)
        assert "secret" not in str(no.value)
        assert len(str(no.value)) < 500


def test_the_two_forms_are_not_taken_for_each_other() -> None:
    with pytest.raises(ModelRejected, match="a location like http://host:8080/v2/models/NAME"):
        read_location("http://host/v1/models/wine", OIP)


@pytest.mark.parametrize(
    ("place", "allowed"),
    [
        ("http://host:8501", True),
        ("http://host:8501/", True),
        ("HTTP://HOST:8501/v1/models/wine", True),
        ("http://host:8501/v1/models/", True),
        ("http://host:8501/v1/models/win", False),
        ("http://host:8501/v1/models/wine/versions", False),
        ("https://host:8501/", False),
        ("http://host/", False),
        ("http://host.evil:8501/", False),
        ("/v1/models", False),
        ("", False),
    ],
)
def test_a_location_is_under_a_place(place: str, allowed: bool) -> None:
    assert is_under(read_location("http://host:8501/v1/models/wine", TF), place) is allowed
