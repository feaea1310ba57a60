"""Removes the studio background from photos of cars, in JAX and Flax."""
