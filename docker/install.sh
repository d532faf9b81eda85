#!/bin/sh
# What both images install, in one place: tests/test_docker.py runs these very steps in a clean folder.
#   install.sh SOURCE TARGET cpu|cuda
# SOURCE holds the repository; TARGET gets a virtual environment, what a cluster needs with it, and the models of pose, hands and text.
# TORCH_INDEX: as tools/torch.sh takes it.
set -eu
source=$1
target=$2
kind=$3
python3 -m venv "$target/venv"
pip() { "$target/venv/bin/python" -m pip --disable-pip-version-check --no-cache-dir "$@"; }
PYTHON="$target/venv/bin/python" sh "$source/tools/torch.sh" "$kind"
pip install --quiet -c "$source/constraints.txt" -e "$source[cluster]"
XDG_CACHE_HOME="$target/cache" "$target/venv/bin/longdance" pose-model
