"""Moorage: a container registry you start with one command, that never loses a push."""

__version__ = "0.1.0"
