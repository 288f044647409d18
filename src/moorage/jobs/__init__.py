"""Work that no request waits for: a queue with leases, and a schedule."""
