"""The cells of first_steps.ipynb, of which make_notebook.py makes it."""
# ruff: noqa: E402

# %% [markdown]
# # First steps: teach a network to cut out cars
#
# A car stands on a turntable and is photographed from 16 sides. For each photo
# we want a **mask**: for every pixel, whether it shows the car. With it, the
# car can be put before any background.
#
# Some five minutes on two CPU cores: look at the data, build a network, train
# it, see where it errs, cut out a car. The photos are rendered, so nothing is
# downloaded, and their masks are exact.
#
# **To read** this notebook, nothing is needed: the results are in it. **To run
# it**, from the folder of the project:
#
# ```text
# pip install -r requirements.txt jupyterlab
# jupyter lab docs/first_steps.ipynb
# ```
#
# Any other program for notebooks does as well. Run the cells from the first to
# the last.

# %%
import pathlib
import sys

# The package lies beside this notebook's folder, in it, or is installed.
for place in (pathlib.Path.cwd().parent, pathlib.Path.cwd()):
  if (place / 'carvana_jax' / 'main.py').exists():
    sys.path.insert(0, str(place))

# %% tags=["parameters"]
FOLDER = 'first_steps_run'  # all that is written goes in here
DATA = 'first_steps_run/data'  # the rendered photos
SIZE = '128x192'  # HEIGHTxWIDTH that the network sees
FULL_SIZE = '256x384'  # HEIGHTxWIDTH of the photos, in which masks are scored
LEVELS = 5  # sizes at which it looks at a photo, each half of the one before
WIDTH = 8  # channels of its first layer, doubled at each level
EPOCHS = 4  # how many times training goes through the photos
MINUTES = 2  # after which training stops, wherever it is

# %%
import contextlib
import csv

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib_inline.backend_inline import set_matplotlib_formats
from PIL import Image

from carvana_jax import models
from carvana_jax.configs import studio
from carvana_jax.datasets import folds, prepare, reading
from carvana_jax.evaluation import evaluate_run
from carvana_jax.inference import predictor
from carvana_jax.masks import composite, encoding, from_logits, layers
from carvana_jax.metrics import overlap
from carvana_jax.models import layer_table
from carvana_jax.reporting import overlays
from carvana_jax.training import loop, run_folder, trained_run

set_matplotlib_formats('jpeg', pil_kwargs={'quality': 82})
workdir = pathlib.Path(FOLDER).absolute() / 'run'


def show(pictures, titles, columns):
  """Draws pictures in rows, each below its title."""
  rows = -(-len(pictures) // columns)
  height, width = np.shape(pictures[0])[:2]
  size = (6.5, rows * (6.5 / columns * height / width + 0.3))
  _, places = plt.subplots(
    rows, columns, figsize=size, squeeze=False, layout='constrained'
  )
  for place, picture, title in zip(places.flat, pictures, titles, strict=True):
    place.imshow(picture, cmap='gray')
    place.set_title(title, fontsize=8)
    place.axis('off')
  plt.show()


# %% [markdown]
# ## 1. The data
#
# A run of this project follows from its **config**. We take that of the
# rendered studio, `configs/studio.py`, and change a few fields;
# `configs/default.py` explains them all. Rendering takes two minutes, the first
# time only.

# %%
config = studio.get_config()
config.data.data_dir = DATA
config.data.size = SIZE
config.data.full_size = FULL_SIZE
config.model.levels = LEVELS
config.model.first_width = WIDTH
config.train.epochs = EPOCHS
config.train.max_minutes = MINUTES
config.train.picture_epochs = 1
loop.use_cores(config)

prepare.for_network(config.data)  # the size that is trained on
photos = prepare.for_scoring(config.data)

# %%
for split in ('train', 'validation', 'test'):
  cars = folds.cars_of(reading.undecoded_examples(photos, split))
  count = sum(len(views) for views in cars.values())
  print(f'{split:10} {count:4} photos of {len(cars):2} cars')

# %% [markdown]
# Three parts: the network learns from the first, we choose between networks by
# the second, and the third, looked at once, tells how good the chosen one is.
#
# The parts hold **different cars**, not just different photos. The 16 photos of
# a car are nearly the same picture, so if some of them were trained on and
# others tested, the network could pass by remembering. How it does on a car
# that it never saw, which is what we want to know, would stay unknown.
#
# One of the test cars, with its masks. Outside the mask the photo is darkened.

# %%
test = photos.as_data_source('test')
views, *_ = cars.values()  # of the last split above
pictures, titles = [], []
for position in views[::4]:
  photo, mask = test[position]['image'], test[position]['mask'][..., 0] > 127
  pictures += [photo, np.where(mask[..., None], photo, photo // 4)]
  titles += [f'view {test[position]["view"]}', f'{mask.mean():.1%} is car']
show(pictures, titles, columns=4)

# %% [markdown]
# ### How good is a mask?
#
# One could count the pixels that are right. But most of a photo is background,
# so a mask without any car gets most pixels right, too. **Dice** looks at the
# car only: twice the pixels that both masks have, by the pixels of the one plus
# those of the other. Equal masks have 1, masks without a common pixel 0.

# %%
mask = test[0]['mask'][..., 0] > 127
guesses = {
  'no car': np.zeros_like(mask),
  'car everywhere': np.ones_like(mask),
  'two pixels to the right': np.roll(mask, 2, axis=1),
}
for name, guess in guesses.items():
  dice = 2 * np.sum(guess & mask) / (np.sum(guess) + np.sum(mask))
  assert np.isclose(dice, overlap.mask_scores(guess, mask)['dice'])
  print(f'{name:24} right {np.mean(guess == mask):.4f}   Dice {dice:.4f}')

# %% [markdown]
# ## 2. The network
#
# A **U-Net** (Ronneberger et al. 2015). On its way down it halves the picture
# again and again, so that a pixel at the bottom has seen most of a car; on its
# way up it doubles it. At each size, what it saw on the way down is joined to
# what comes from below: the deep layers know *what* is a car, the upper ones
# *where* exactly it ends. These are its convolutions:

# %%
model = models.build(config.model)
found = layer_table.layers(model, prepare.input_shape(config.data))
for layer in found:
  if layer.kind == 'conv':
    output = 'x'.join(map(str, layer.output))
    print(f'{layer.name:16} {output:>12} {layer.parameters:9,} parameters')
print(layer_table.totals(found))

# %% [markdown]
# ## 3. Training
#
# Two minutes. What training prints goes into `training.txt` in our folder, a
# line for each epoch; open it, if you like, to see that something happens. Run
# once more, this cell goes on from the last epoch, or finds that there is
# nothing left to do; to train anew, choose another `FOLDER` above.

# %%
workdir.parent.mkdir(exist_ok=True)
log = workdir.with_name('training.txt')
with log.open('w') as stream, contextlib.redirect_stdout(stream):
  loop.train(config, workdir)

# %%
rows = run_folder.read_metrics(workdir)
print('epoch   loss   Dice   validation: loss   Dice')
for row in rows:
  print(
    f'{row["epoch"]:5} {row["train/loss"]:6.3f} {row["train/dice"]:6.4f}'
    f'{row["validation/loss"]:18.3f} {row["validation/dice"]:6.4f}'
  )
epochs = [row['epoch'] for row in rows]
plt.figure(figsize=(6, 3))
for split in ('train', 'validation'):
  values = [row[f'{split}/dice'] for row in rows]
  plt.plot(epochs, values, marker='.', label=split)
plt.xlabel('epoch')
plt.xticks(epochs)
plt.ylabel('Dice')
plt.legend()
plt.show()

# %% [markdown]
# The **loss** is what training lowers, step by step; **Dice** is what we want.
# (Dice has no slope to go down, as a pixel is car or not. The loss takes
# probabilities instead.) The cars of validation are never learned from. Were
# they to get worse while the others still get better, the network would be
# learning by heart.
#
# Some photos of validation, their masks, and what the network made of them, in
# the first picture that it left and in the last:

# %%
files = sorted((workdir / 'pictures').glob('*.png'))
files = [files[0], files[-1]]
show([Image.open(x) for x in files], [x.stem for x in files], columns=2)

# %% [markdown]
# ## 4. Predictions
#
# Now the test cars, at the photos' full size. The network sees them reduced,
# and its answer is enlarged again. `evaluate` scores every photo, prints the
# means and writes tables into the folder of the run.

# %%
run = trained_run.load(workdir)
summary = evaluate_run.evaluate(run, config.data, 'test', workdir)

# %%
with (workdir / 'evaluation/studio-test/images.csv').open() as file:
  scores = list(csv.DictReader(file))  # from worst to best
for row in [*scores[:3], *scores[-3:]]:
  print(f'{row["filename"]} {row["body"]:10} Dice {float(row["dice"]):.4f}')

# %% [markdown]
# A mean hides what goes wrong, so look at the worst ones first. Orange is
# background that was taken for car, blue is car that was missed.

# %%
examples = reading.undecoded_examples(photos, 'test')
names = [example['filename'].decode() for example in examples]
chosen = [names.index(row['filename']) for row in (*scores[:2], scores[-1])]
given = predictor.inputs(
  [chosen], lambda position: test[position]['image'], [run.config.data]
)
levels = {
  position: prediction.levels()  # 256 steps of probability, at full size
  for position, prediction in predictor.predictions([run], given)
}
pictures, titles = [], []
for position in chosen:
  photo, mask = test[position]['image'], test[position]['mask'][..., 0] > 127
  predicted = from_logits.mask_of(levels[position], run.config.eval)
  dice = overlap.mask_scores(predicted, mask)['dice']
  pictures += [photo, mask, predicted, overlays.errors(photo, predicted, mask)]
  titles += ['photo', 'truth', 'prediction', f'Dice {dice:.4f}']
show(pictures, titles, columns=4)

# %% [markdown]
# ## 5. How far from the border are the errors?
#
# Every wrong pixel of the test photos, by its distance from the true border.
# The last column is what the mean Dice would gain if that band were right.

# %%
with (workdir / 'evaluation/studio-test/errors.csv').open() as file:
  bands = list(csv.DictReader(file))
labels = [f'{x["over"]}–{x["up_to"]}'.replace('64–', '> 64') for x in bands]
print('pixels    missed   added   share   Dice gain')
for label, band in zip(labels, bands, strict=True):
  print(
    f'{label:8} {band["missed"]:>7} {band["added"]:>7} '
    f'{float(band["share"]):7.1%} {float(band["dice_gain"]):11.5f}'
  )
missed, added = ([int(x[name]) for x in bands] for name in ('missed', 'added'))
plt.figure(figsize=(6, 3))
plt.bar(labels, missed, label='car, missed')
plt.bar(labels, added, bottom=missed, label='background, added')
plt.xlabel('distance from the true border in pixels')
plt.ylabel('wrong pixels')
plt.legend()
plt.show()

# %% [markdown]
# Errors close to the border mean that it is blurred: the network saw a smaller
# photo, in which a pixel is several of the full ones. Errors far away mean that
# it took something else for a car, or part of the car for something else. Each
# kind has a cure of its own: a larger `SIZE` for the first, more cars and more
# training for the second.

# %% [markdown]
# ## 6. Cut out a car
#
# A mask cuts hard, pixel by pixel. `take_apart` makes a soft edge of the
# probabilities and takes the studio's white out of the pixels on it. On green,
# with the shadow that the car had in the studio:

# %%
best = chosen[-1]
photo = test[best]['image']
mask = from_logits.mask_of(levels[best], run.config.eval)
car = layers.take_apart(photo, levels[best], mask, run.config.eval.threshold)
green = composite.plain_background((0, 185, 0), *mask.shape)
hard = np.where(mask[..., None], photo, green)
show(
  [photo, hard, car.composite(green, 'own')],
  ['photo', 'by its mask', 'soft edge, shadow'],
  columns=3,
)

# %% [markdown]
# On nothing at all, as a PNG that shows whatever is behind it:

# %%
cut = car.cut_out(trim=True)
(workdir.parent / 'car.png').write_bytes(encoding.png(cut))
display(Image.fromarray(cut))

# %% [markdown]
# ## What to try next
#
# Change one thing at a time, with another `FOLDER` each, and compare the Dice
# of *validation*; the test cars are for the very end.
#
# - **More training**: `EPOCHS = 10`, `MINUTES = 0` (no limit). How much is left
#   to gain?
# - **Another size**: `SIZE = '64x96'`, with the same `EPOCHS`. Which bar of the
#   plot in 5 grows?
# - **A smaller network**: `WIDTH = 4`, or `LEVELS = 3`. How many parameters are
#   left, and how much Dice?
# - **Without batch normalisation**: `config.model.norm = 'none'`.
# - **Another loss**: `config.train.loss = 'bce'`, or `'dice'`.
# - **More variety**: `config.augment.brightness = 0.2` and
#   `config.augment.scale = 0.1`. Does the curve of `train` come closer to that
#   of `validation`?
#
# The same from a terminal, with a page on the run at its end:
#
#     bash run.sh --config=configs/studio.py --workdir=runs/mine
#     bash run.sh report --workdir=runs/mine
#
# [Training](training.md) has more on runs, [own photos](own_photos.md) says how
# to train on yours, and [the layout](layout.md) where to read the code.
