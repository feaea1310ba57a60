#!/usr/bin/env bash
# Makes the networks of this folder anew:
#
#   bash weights/make.sh KAGGLE
#
# KAGGLE is the folder of the competition's files, see docs/data.md. That takes
# two hours and a quarter on two CPU cores; after an interruption the same
# command goes on. The networks are written to runs/carvana/weights, and nothing
# is overwritten: a last line says how to put them in place.
set -euo pipefail

if [ $# -ne 1 ]; then
  echo 'error: give one folder, of the competition: weights/make.sh KAGGLE' >&2
  exit 2
elif ! [ -d "$1" ]; then
  echo "error: $1 is no folder; give that of the competition's files" >&2
  exit 2
fi
kaggle=$(realpath -- "$1")
cd -- "$(dirname -- "$(realpath -- "$0")")/.."

run=runs/carvana
made=$run/weights
if [ -e $made/carvana.safetensors ]; then
  echo "error: $made has networks; move $run elsewhere to make new ones" >&2
  exit 2
fi

bash run.sh --config=configs/fast.py --workdir=$run \
  --config.train.epochs=36 --config.data.manual_dir="$kaggle"
# Less sure of the photos that it was trained on, so better to learn from.
bash run.sh --config=configs/fast.py --workdir=$run/short \
  --config.data.manual_dir="$kaggle"
bash run.sh refine --config=configs/fine.py --workdir=$run \
  --probabilities=$run/short --config.data.manual_dir="$kaggle"
mkdir -p $made
bash run.sh export --workdir=$run --fine --precision=float16 \
  --output=$made/carvana.safetensors
# What rounding to float16 has left, of both networks and of the first alone.
for fine in True False; do
  for split in validation test; do
    bash run.sh evaluate --workdir=$made/carvana.safetensors --fine=$fine \
      --split=$split --manual_dir="$kaggle" --output=$made
  done
done
(cd $made && sha256sum carvana*)

echo "Both networks are in $made. If they are better than those of"
echo "weights/README.md, write scores and sums there, and put them in place:"
echo "  cp $made/carvana* weights/"
