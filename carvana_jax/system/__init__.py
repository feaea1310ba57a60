"""The machine and the command line; knows nothing of cars."""
