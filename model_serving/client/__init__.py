"""The client: the embedded broker, publishers, readers and the `model-serving` command."""
