"""Kafka: how it is reached, topic names and sizes, readers and senders."""
