"""Access to one served model: requests with their headers, and what every kind of failure means.

===============================================  ======================================================
what happens                                     what it means
===============================================  ======================================================
no connection, no answer in time, 429, 502–504   repeated until the deadline, then ``Unavailable``
3xx, 401, 403, 404 while records are scored      ``Unavailable``: the model is not at fault, nor a record
any other status, or an answer that is wrong     ``ScoringFailed``
===============================================  ======================================================

After ``Unavailable`` a breaker is open: that of the host, which all its models share, if the server could not
be reached, else that of the model. While one is open, ``reach`` fails at once, and looks at the model's
status now and then in a thread beside the caller.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from model_serving.core.errors import ModelRejected, ScoringFailed, Unavailable
from model_serving.core.model_servers.headers import Header, headers_for, read_headers
from model_serving.core.model_servers.location import ServedLocation
from model_serving.engines.limits import RemoteAccess
from model_serving.engines.remote.breaker import Breaker
from model_serving.engines.remote.connection import Answer, Request, TooLong
from model_serving.engines.remote.host import OutOfReach
from model_serving.engines.remote.hosts import use_host
from model_serving.engines.remote.interface import ServingProtocol
from model_serving.engines.remote.values import error_in

__all__ = ["ModelAccess"]

_MOST_BYTES = 64 << 20
"""The longest answer that is read, in bytes: what some hundred thousand numbers take."""

_MOST_METADATA_BYTES = 8 << 20
_LOOK_S = 2.0
"""How long one look at the model's status takes at most, in seconds."""

_REFUSED = {
    401: "it wants a login: put a token for it into --remote-headers-file",
    403: "it refuses the login: correct the token in --remote-headers-file",
    404: "it has no such model there",
}


class ModelAccess:
    """Asks for one model. Safe to use from several threads; use ``close`` at the end."""

    def __init__(self, location: ServedLocation, protocol: ServingProtocol, settings: RemoteAccess) -> None:
        """Sends nothing yet.

        Raises:
            ModelRejected: the file of headers or of authorities cannot be used.
        """
        self._location = location
        self._protocol = protocol
        self._settings = settings
        self._headers_of_file()
        self._use = use_host(location, settings.ca_file)
        self._host = self._use.host
        self._breaker = Breaker()

    def ready(self) -> None:
        """Asks whether the model can score now.

        Raises:
            ModelRejected: the server does not have the model, or refuses the login.
            Unavailable: the server is out of reach, or the model cannot score now.
        """
        answer = self._ask(self._protocol.status_path(self._location))
        self._refuse(answer, "its status")
        why = self._protocol.why_not_ready(answer)
        if why:
            raise Unavailable(
                f"the model server does not serve {self._location} now ({why}): wait until it does"
            )

    def metadata(self) -> bytes:
        """Asks for the model's inputs and outputs.

        Raises:
            ModelRejected: the server refuses.
            Unavailable: the server is out of reach.
        """
        answer = self._ask(self._protocol.metadata_path(self._location))
        self._refuse(answer, "its metadata")
        return answer.body

    def reach(self) -> None:
        """Fails at once while a breaker is open; touches the server only to see whether it is back.

        Raises:
            Unavailable: do not send records now; its ``retry_ms`` says when to ask again.
        """
        for breaker in (self._host.breaker, self._breaker):
            if breaker.is_open:
                if breaker.may_look():
                    threading.Thread(
                        target=self._look, args=(breaker,), name="look-at-model-server", daemon=True
                    ).start()
                raise self._unavailable(breaker.why, breaker.wait_ms())

    def score(self, bodies: Sequence[bytes]) -> list[bytes]:
        """Sends requests to score, several at the same time; the answers are in the requests' order.

        Raises:
            ScoringFailed: the server answers a request with an error.
            Unavailable: the server is out of reach.
        """
        self.reach()
        path, headers = self._protocol.scoring_path(self._location), self._headers()
        requests = [Request(path, body, headers, _MOST_BYTES) for body in bodies]
        calls = self._host.send(requests, self._deadline_s())
        try:
            answers = [call.answer() for call in calls]
        except OutOfReach as error:
            raise self._out_of_reach(error) from None
        except TooLong as error:
            raise ScoringFailed(f"the model server's answer is not read: {error}") from None
        for answer in answers:
            if answer.status != 200:
                raise self._failure(answer)
        self._host.breaker.succeeded()
        self._breaker.succeeded()
        return [answer.body for answer in answers]

    def close(self) -> None:
        """Gives the host's connections back."""
        self._use.release()

    def _ask(self, path: str) -> Answer:
        request = Request(path, None, self._headers(), _MOST_METADATA_BYTES)
        try:
            (answer,) = (call.answer() for call in self._host.send([request], self._deadline_s()))
        except OutOfReach as error:
            raise Unavailable(
                f"the model server of {self._location} is out of reach ({error}): start it, or correct the "
                "location"
            ) from None
        except TooLong as error:
            raise ModelRejected(f"the model server of {self._location} cannot be used: {error}") from None
        return answer

    def _refuse(self, answer: Answer, what: str) -> None:
        if answer.status == 200:
            return
        why = error_in(answer.body)
        means = _REFUSED.get(answer.status, "see what it answers with curl")
        if 300 <= answer.status < 400:
            means = "it names another place, which is not followed: publish the place itself"
        raise ModelRejected(
            f"the model server answers {answer.status} to {what} ({self._location})"
            + (f", '{why}'" if why else "")
            + f": {means}"
        )

    def _failure(self, answer: Answer) -> ScoringFailed | Unavailable:
        said = error_in(answer.body)
        if answer.status in _REFUSED or 300 <= answer.status < 400:
            why = f"it answers {answer.status}" + (f", '{said}'" if said else "")
            self._breaker.open(why)
            return self._unavailable(why, self._breaker.wait_ms())
        return ScoringFailed(f"the model server answers {answer.status}" + (f": {said}" if said else ""))

    def _out_of_reach(self, error: OutOfReach) -> Unavailable:
        breaker = self._breaker if error.of_model else self._host.breaker
        breaker.open(str(error))
        return self._unavailable(str(error), breaker.wait_ms())

    def _unavailable(self, why: str, retry_ms: int) -> Unavailable:
        return Unavailable(f"the model server of {self._location} is out of reach: {why}", retry_ms)

    def _look(self, breaker: Breaker) -> None:
        """Looks at the model's status once, and closes the breaker or opens it again."""
        why = "it cannot be asked"
        try:
            request = Request(
                self._protocol.status_path(self._location), None, self._headers(), _MOST_METADATA_BYTES
            )
            deadline_s = time.monotonic() + min(_LOOK_S, self._settings.timeout_ms / 1000)
            (call,) = self._host.send([request], deadline_s, once=True)
            answer = call.answer()
            # An answer of any kind says that the host is there.
            why = "" if breaker is self._host.breaker else self._protocol.why_not_ready(answer)
        except OutOfReach as error:
            why = "" if error.of_model and breaker is self._host.breaker else str(error)
        except (TooLong, Unavailable) as error:
            why = str(error)
        finally:
            if why:
                breaker.open(why)
            else:
                breaker.close()

    def _headers(self) -> dict[str, str]:
        """The headers, from the file as it is now: a token may be changed while the program runs."""
        try:
            return headers_for(self._location, self._headers_of_file())
        except ModelRejected as error:
            # The file is not the model's, so the model is not at fault.
            raise Unavailable(str(error), round(_LOOK_S * 1000)) from None

    def _headers_of_file(self) -> tuple[Header, ...]:
        path = self._settings.headers_file
        if not path:
            return ()
        try:
            return read_headers(path)
        except ValueError as error:
            raise ModelRejected(f"--remote-headers-file: {error}") from None

    def _deadline_s(self) -> float:
        return time.monotonic() + self._settings.timeout_ms / 1000
