"""Photos to masks."""
