"""A page that cuts objects out, in a browser: its parts, and how it is made."""
