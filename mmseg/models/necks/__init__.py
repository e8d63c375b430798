"""Between backbone and head."""
