"""An engine for each device, and the code that both share."""
