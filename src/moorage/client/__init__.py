"""What speaks to a server as its clients do. Quick to import: no event loop, no database."""
