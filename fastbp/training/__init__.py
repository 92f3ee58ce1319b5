"""The loop that both engines share, and what it looks at between chunks of steps."""
