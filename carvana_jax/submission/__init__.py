"""The challenge's CSV."""
