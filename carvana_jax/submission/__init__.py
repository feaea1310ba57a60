"""Submissions to Kaggle: masks as text, and the CSV that holds them."""
