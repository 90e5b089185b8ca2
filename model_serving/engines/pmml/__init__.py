"""PMML models."""
