"""The query server: what serves, how well, and what was refused, over HTTP; and commands, with a token."""
