"""What the doctor knows about photos and masks."""
