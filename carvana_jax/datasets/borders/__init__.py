"""Tiles along the border that a network sees, for a second one."""
