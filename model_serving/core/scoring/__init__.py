"""What becomes of records: they are scored, they wait, or they are refused."""
