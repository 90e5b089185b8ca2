"""The demo: shows Kafka, a job, models and records live in the terminal."""
