"""The incident benchmark."""
