"""Kafka clients: access, topic names and sizes, readers and senders."""
