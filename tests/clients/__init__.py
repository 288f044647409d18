"""Real clients against a real server, over plain HTTP on the loopback address."""
