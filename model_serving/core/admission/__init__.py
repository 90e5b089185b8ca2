"""Admission of models: signatures, the order of messages, commands, loading."""
