"""Tries a model without Kafka, with the parts, the limits and the policies of a job."""
