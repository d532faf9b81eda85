#!/bin/sh
# torch in the build that fits the machine: without an NVIDIA GPU the CPU's, which is smaller by gigabytes: the
# other one brings CUDA's libraries.
#   torch.sh [cpu|cuda]       without a word: cuda where nvidia-smi finds a GPU, else cpu
# PYTHON: the environment's python [.venv/bin/python]. A torch of the pinned version that is there stays, unless a word
# asks for the other build.
# TORCH_INDEX: where the CPU's build comes from [PyTorch's own index]; empty: from the default index.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$here/.venv/bin/python}
index=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}
wanted=$(sed -n 's/^torch==//p' "$here/constraints.txt")
pip() { "$python" -m pip --disable-pip-version-check "$@"; }

kind=${1:-}
there=$("$python" -c 'from importlib.metadata import version; print(version("torch"))' 2>/dev/null || true)
if [ -z "$kind" ]; then
    [ "${there%%+*}" = "$wanted" ] && exit 0
    if nvidia-smi -L 2>/dev/null | grep -q GPU; then kind=cuda; else kind=cpu; fi
fi

# Elsewhere than on Linux the default index has no build with CUDA.
[ "$(uname -s)" = Linux ] || index=

case $kind in
cpu)
    echo "torch $wanted for the CPU; for an NVIDIA GPU: sh tools/torch.sh cuda"
    [ -z "$index" ] || [ "$there" = "$wanted+cpu" ] ||
        pip install --quiet --retries 0 --timeout 30 --force-reinstall --no-deps --index-url "$index" "torch==$wanted" ||
        echo "$index cannot be reached: the default index's build is taken, which may bring gigabytes of CUDA's libraries." >&2
    ;;
cuda) # the default index's wheels for Linux bring CUDA's libraries
    echo "torch $wanted for an NVIDIA GPU; for the CPU alone: sh tools/torch.sh cpu"
    case $there in *+cpu) pip uninstall --quiet --yes torch ;; esac
    ;;
*)
    echo "The build of torch is '$kind': expected cpu or cuda." >&2
    exit 2
    ;;
esac
pip install --quiet -c "$here/constraints.txt" "torch==$wanted" # and what it needs
