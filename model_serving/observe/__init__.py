"""What the topics say about a running job, folded into what is known of each data type and version."""
