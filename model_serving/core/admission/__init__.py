"""Which models are let in: signatures, the order of messages, commands, loading."""
