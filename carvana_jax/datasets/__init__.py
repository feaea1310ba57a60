"""From files to batches: a folder for each data set, and what they share.

`carvana` holds the challenge's photos and `studio` rendered ones; `multiview`
and `borders` are made from either. `prepare.py` makes their files where they
are missing, `reading.py` opens them, and `input_pipeline.py` makes batches.
`diagnosis` looks for mistakes in photos and masks.
"""
