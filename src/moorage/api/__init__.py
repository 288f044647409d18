"""The registry's own addresses: health and metrics for now."""
