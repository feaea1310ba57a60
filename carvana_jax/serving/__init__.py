"""An HTTP server: a photo is posted, its mask or cut-out comes back."""
