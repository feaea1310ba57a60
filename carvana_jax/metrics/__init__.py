"""How well masks fit; `table` lists what is taken of every image."""
