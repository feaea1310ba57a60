"""All views of a car compared, and cropped to it: `multiview/<size>`."""
