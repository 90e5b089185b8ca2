"""The keyed variant: the task that gets the records of a data type has its model in its state."""
