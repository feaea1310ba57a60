"""How well a mask fits."""
