"""The Carvana Image Masking Challenge: `carvana/<size>`."""
