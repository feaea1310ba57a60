"""Chains of training, scoring and predicting."""
