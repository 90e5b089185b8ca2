"""Fetches models from locations, and keeps large models in a model store."""
