"""The settings that a job gives to its operators: plain values, pickled with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from model_serving.core.admission.signing import read_keys
from model_serving.core.model_servers.outage import OutagePolicy
from model_serving.core.scoring.input_policy import MissingPolicy
from model_serving.core.scoring.waiting import WaitingPolicy

__all__ = ["ServingSettings"]


@dataclass(frozen=True, slots=True)
class ServingSettings:
    """Sizes are bytes. ``base_dir`` is the folder that relative model locations start from.

    ``allow_locations`` are the places under which models by location may be; if it is empty, they may be
    anywhere. ``model_key_file`` holds the keys of signed model messages; without it, messages need not be
    signed. Only the path is a setting, because the keys would otherwise be in the job graph.

    Loading a model may take ``load_timeout_s`` seconds.
    A model of native code is first loaded and tried in another process, for at most ``trial_timeout_s``
    seconds (0: no trial) and with at most ``trial_memory_limit`` bytes. An archive unpacks to at most
    ``unpacked_size_limit`` bytes; a PMML document has at most ``pmml_size_limit`` bytes.

    Contents of models above ``inline_limit`` bytes go to the store at the URL ``model_store``, which may hold
    credentials, under the name of this ``run`` (one submission of the job). They stay there for
    ``model_store_retention_ms`` after the last version that refers to them was dropped. ``claims_stored``:
    the job may delete objects that earlier runs have put there.

    After ``failure_threshold`` failures of a model in a row, the version before it serves again; 0: never.

    A request to a model server takes at most ``remote_timeout_ms`` milliseconds, and ``remote_outage`` says
    what happens to records while such a server is out of reach. ``remote_headers_file`` and
    ``remote_ca_file`` are paths: of the headers of requests, and of the authorities that servers are trusted
    by; empty: no headers, and the system's authorities.

    ``dead_letter_limit`` and ``result_limit`` are the largest messages that the topics for them take; None:
    messages of any size.

    ``stats_topic`` is where statistics are reported, at the Kafka of ``bootstrap_servers`` and with the
    client properties ``kafka_config``, which may hold secrets; empty: nowhere. ``host`` is the host's name
    there.
    """

    record_type: str
    models_topic: str
    data_topic: str
    waiting: WaitingPolicy
    keep_versions: int
    base_dir: str
    model_size_limit: int
    allow_locations: tuple[str, ...] = ()
    model_key_file: str = ""
    missing: MissingPolicy = MissingPolicy.REJECT
    failure_threshold: int = 0
    load_timeout_s: int = 120
    trial_timeout_s: int = 0
    trial_memory_limit: int = 4 << 30
    unpacked_size_limit: int = 2 << 30
    pmml_size_limit: int = 64 << 20
    model_store: str = field(default="", repr=False)
    inline_limit: int = 0
    model_store_retention_ms: int = 0
    run: str = ""
    claims_stored: bool = False
    remote_timeout_ms: int = 10_000
    remote_outage: OutagePolicy = OutagePolicy.WAIT
    remote_headers_file: str = ""
    remote_ca_file: str = ""
    dead_letter_limit: int | None = None
    result_limit: int | None = None
    host: str = ""
    stats_topic: str = ""
    bootstrap_servers: str = ""
    kafka_config: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def model_keys(self) -> tuple[bytes, ...]:
        """The keys of signed model messages, read from the key file; empty if there is no key file.

        Raises:
            ValueError: the key file cannot be read, or has no key in it.
        """
        return read_keys(self.model_key_file) if self.model_key_file else ()
