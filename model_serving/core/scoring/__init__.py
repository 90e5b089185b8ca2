"""Serving of records: they are scored, they wait for a model, or they are refused."""
