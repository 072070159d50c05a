#!/usr/bin/env bash
# Prints the path of the virtual environment with Keras and TensorFlow, after
# making it (from PyPI) where it is missing: $KERASPREDICT_VENV, or .venv here.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${KERASPREDICT_VENV:-$PWD/.venv}
if [ ! -x "$venv/bin/python" ] ||
  ! "$venv/bin/python" -c 'import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in ("keras", "tensorflow", "h5py", "scipy")))'; then
  if ! /usr/bin/python3 -c 'import venv, ensurepip' 2>/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; } >/dev/null 2>&1
  fi
  echo "Making the virtual environment $venv" >&2
  /usr/bin/python3 -m venv "$venv" >&2
  "$venv/bin/pip" install --quiet --disable-pip-version-check \
    'keras==3.15.*' 'tensorflow-cpu==2.21.*' h5py scipy >&2
fi
echo "$venv"
