"""Metadata: the tables, the two databases, and every SQL statement of the program."""
