"""The ends of the input of a bounded run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaException

from model_serving.server.config import ServerConfig
from model_serving.server.entries import Key, Kind
from model_serving.server.errors import Interrupted
from model_serving.server.mirror import Mirror
from model_serving.server.state_topic import TopicEnds

__all__ = ["Bounds", "present_bounds"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The offset after the last message to read, by partition of the data topic and of the models topic."""

    data: Mapping[int, int]
    models: Mapping[int, int]

    def has_models_in(self, mirror: Mirror) -> bool:
        """Whether every model message up to the end has been carried out, by whatever member."""
        with mirror.changed:
            for place, end in self.models.items():
                saved = mirror.get(Key(Kind.POSITION, "", str(place)))
                if (0 if saved is None else int(saved)) < end:
                    return False
            return not (mirror.keys(Kind.PENDING) or mirror.keys(Kind.UNCONFIRMED))


def present_bounds(config: ServerConfig) -> Bounds:
    """The present ends of both topics.

    Raises:
        Interrupted: Kafka does not answer.
    """
    ends = TopicEnds(config.kafka)
    try:
        data, models = (
            ends.of(topic, ends.partitions(topic)) for topic in (config.data_topic, config.models_topic)
        )
    except KafkaException as error:
        raise Interrupted(f"the ends of the topics are not known ({error.args[0].str()})") from error
    finally:
        ends.close()
    return Bounds(data, models)
