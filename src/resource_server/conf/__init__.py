"""The settings, read and judged."""
