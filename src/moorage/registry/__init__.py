"""Use cases on artifacts: each module one verb or noun, called by the front doors."""
