"""Training loop shared by both engines, and its checks between chunks of steps."""
