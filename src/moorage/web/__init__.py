"""HTTP without the registry: requests, answers, ranges, conditions, and how bytes are sent."""
