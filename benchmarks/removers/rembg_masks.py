"""Writes masks with rembg, in an environment of its own.

    PYTHON benchmarks/removers/rembg_masks.py MODEL [FILE]

MODEL is one of rembg's, FILE that of a custom one. Jobs and answers are those
of `own_masks.py`.
"""

import json
import pathlib
import sys
import time

from rembg import new_session, remove

model, *file = sys.argv[1:]
session = new_session(model, **({'model_path': file[0]} if file else {}))
for line in sys.stdin:
  job = json.loads(line)
  begun = time.process_time()
  for photo in sorted(pathlib.Path(job['input']).iterdir()):
    mask = remove(photo.read_bytes(), session=session, only_mask=True)
    target = pathlib.Path(job['output']) / f'{photo.stem}_mask.png'
    target.write_bytes(mask)
  print('answer:', time.process_time() - begun, flush=True)
