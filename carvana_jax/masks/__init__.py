"""One mask on the host, and the car cut out with it."""
