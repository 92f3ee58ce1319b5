"""What computes: an engine for each device, and what they share."""
