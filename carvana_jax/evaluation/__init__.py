"""Scores of a trained network at full size."""
