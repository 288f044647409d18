"""What happens to what was acknowledged when processes, disks and machines fail."""
