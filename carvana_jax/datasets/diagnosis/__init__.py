"""Mistakes in photos and masks: what the command `doctor` looks for."""
