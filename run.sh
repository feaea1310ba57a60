#!/usr/bin/env bash
# Everything this project does, after setting up what it needs.
#
#   bash run.sh                                the default run: no download
#   bash run.sh test                           the tests
#   bash run.sh --config=configs/unet512.py    trains and evaluates a config
#   bash run.sh VERB FLAGS                     python -m carvana_jax.VERB FLAGS
set -euo pipefail
cd "$(dirname "$0")"

python=.venv/bin/python
case "${1-}" in
  '') command=("$python" -m carvana_jax.main --config=configs/studio.py) ;;
  test) command=("$python" -m pytest "${@:2}") ;;
  -*) command=("$python" -m carvana_jax.main "$@") ;;
  *)
    # Verbs are the modules with a command line.
    verbs=$(grep -l '^  cli.run(main' carvana_jax/*.py |
      sed 's|.*/||; s|[.]py$||')
    if ! grep -qxF -- "$1" <<<"$verbs"; then
      echo "error: '$1' is no verb; choose from test" $verbs >&2
      exit 2
    fi
    command=("$python" -m "carvana_jax.$1" "${@:2}")
    ;;
esac

# The copy of requirements.txt says what was installed, and is made last.
if ! cmp -s requirements.txt .venv/requirements.txt; then
  echo 'installing requirements.txt into .venv'
  "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo 'error: Python 3.11 or newer is needed; set PYTHON=python3.x' >&2
    exit 2
  }
  [ -x .venv/bin/pip ] || "${PYTHON:-python3}" -m venv .venv
  "$python" -m pip install --quiet --disable-pip-version-check \
    -r requirements.txt
  cp requirements.txt .venv/requirements.txt
fi
exec "${command[@]}"
