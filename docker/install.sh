#!/bin/sh
# What both images install, in one place: tests/test_docker.py runs these very steps in a clean folder.
#   install.sh SOURCE TARGET cpu|cuda
# SOURCE holds the repository; TARGET gets a virtual environment and the models of pose and text.
# TORCH_INDEX: where torch's CPU build comes from; empty takes it from the default index.
set -eu
source=$1
target=$2
kind=$3
python3 -m venv "$target/venv"
pip() { "$target/venv/bin/python" -m pip --disable-pip-version-check --no-cache-dir "$@"; }
torch=$(grep '^torch==' "$source/constraints.txt")
case $kind in
cpu) pip install --quiet ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -c "$source/constraints.txt" "$torch" ;;
cuda) pip install --quiet -c "$source/constraints.txt" "$torch" ;; # PyPI's Linux wheels bring CUDA's libraries
*)
    echo "The kind is '$kind': expected cpu or cuda." >&2
    exit 2
    ;;
esac
pip install --quiet -c "$source/constraints.txt" -e "$source"
XDG_CACHE_HOME="$target/cache" "$target/venv/bin/longdance" pose-model
XDG_CACHE_HOME="$target/cache" "$target/venv/bin/longdance" text-model
