"""The rendered turntable studio: `studio/<size>`."""
