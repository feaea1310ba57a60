"""Tiles along the border that one network sees, for a second one."""
