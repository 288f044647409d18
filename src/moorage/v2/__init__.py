"""The hot path: everything under `/v2/` (distribution-spec)."""
