"""The benchmark of Moorage beside Debian's docker-registry; `python -m bench` runs it."""
