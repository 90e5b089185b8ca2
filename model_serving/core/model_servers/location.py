"""The location of a model that a model server scores: a URL in one of two forms.

``http(s)://host:port/v1/models/NAME[/versions/V | /labels/L]`` for TensorFlow Serving ("RESTful API"), and
``http(s)://host:port/v2/models/NAME[/versions/V]`` for the Open Inference Protocol (KServe, "Open Inference
Protocol (V2 Inference Protocol)"). A gateway's own path may stand before ``/v1`` or ``/v2``.

The location is the whole model as far as this program knows it: its canonical text is the model's content,
with a digest, a version and a place in state like the content of any other model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import ModelType

__all__ = ["SCORED_BY_A_SERVER", "ServedLocation", "is_under", "read_location", "type_of_location"]

SCORED_BY_A_SERVER = frozenset({ModelType.TFSERVING, ModelType.OPENINFERENCE})
"""The types whose models are named by the URL where a model server has them."""

_API = {ModelType.TFSERVING: "v1", ModelType.OPENINFERENCE: "v2"}
_FORMS = {
    ModelType.TFSERVING: "http://host:8501/v1/models/NAME or …/versions/3",
    ModelType.OPENINFERENCE: "http://host:8080/v2/models/NAME or …/versions/1",
}
_PORTS = {"http": 80, "https": 443}
_LONGEST = 2048

# RFC 3986, 3.3, without the colon, which stands before a verb of TensorFlow Serving.
_SEGMENT = r"[A-Za-z0-9._~!$&'()*+,;=@%-]+"
_PATH = re.compile(
    rf"(?P<base>(?:/{_SEGMENT})*)/(?P<api>v1|v2)/models/(?P<name>{_SEGMENT})"
    rf"(?:/(?P<which>versions|labels)/(?P<version>{_SEGMENT}))?/?"
)
# A segment that a server or a proxy could take for the folder above, in any spelling of it.
_CLIMBS = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)|%2f|%5c|%25|%00", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServedLocation:
    """A location in its parts. ``path`` is the model's own path, without a slash at its end."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_secure(self) -> bool:
        """Whether requests go over TLS."""
        return self.scheme == "https"

    @property
    def address(self) -> str:
        """``scheme://host:port``, as people write it: without the scheme's own port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    def __str__(self) -> str:
        """The canonical text: all spellings of a location have the same."""
        return f"{self.address}{self.path}"


def read_location(text: str, model_type: ModelType) -> ServedLocation:
    """Reads the location of a model of a type of ``SCORED_BY_A_SERVER``.

    Raises:
        ModelRejected: it is not a URL of this type; the text says what one looks like.
    """
    wanted = f"a model of the type {model_type.name} needs a location like {_FORMS[model_type]}"
    url = _split(text)
    if url is None:
        raise ModelRejected(f"{wanted}, not '{text[:200]}'")
    if url.username is not None or url.query or url.fragment:
        raise ModelRejected(
            f"{wanted}, without a user, a query or a fragment: a token goes into --remote-headers-file"
        )
    found = _PATH.fullmatch(url.path)
    if found is None or found["api"] != _API[model_type] or _CLIMBS.search(url.path):
        raise ModelRejected(f"{wanted}, not '{text[:200]}'")
    if found["which"] == "labels" and model_type is not ModelType.TFSERVING:
        raise ModelRejected(f"{wanted}: the Open Inference Protocol has no labels")
    if (
        found["which"] == "versions"
        and model_type is ModelType.TFSERVING
        and not found["version"].isdecimal()
    ):
        raise ModelRejected(f"{wanted}: the version '{found['version']}' is not a number")
    return ServedLocation(
        url.scheme, url.hostname or "", url.port or _PORTS[url.scheme], url.path.rstrip("/")
    )


def type_of_location(text: str) -> ModelType | None:
    """The type that a URL has the form of; None if it is not the location of a served model."""
    for model_type in _API:
        try:
            read_location(text, model_type)
        except ModelRejected:
            continue
        return model_type
    return None


def is_under(location: ServedLocation, place: str) -> bool:
    """Whether a location is at a place, or below it: same scheme, host and port, and the place's path."""
    url = _split(place)
    if url is None or (url.scheme, url.hostname, url.port or _PORTS[url.scheme]) != (
        location.scheme,
        location.host,
        location.port,
    ):
        return False
    path = url.path.rstrip("/")
    return location.path == path or location.path.startswith(f"{path}/")


def _split(text: str) -> SplitResult | None:
    """The parts of an http(s) URL with a host; None for any other text."""
    if len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        return None
    try:
        url = urlsplit(text)
        is_whole = url.scheme in _PORTS and bool(url.hostname) and url.port != 0
    except ValueError:
        return None
    return url if is_whole else None
