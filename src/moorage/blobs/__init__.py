"""Bytes by location: the drivers know no digest, no tag and no HTTP."""
