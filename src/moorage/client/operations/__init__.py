"""What the management API can be asked for: a file for each noun, made by `docs/client.py`."""
