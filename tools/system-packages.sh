#!/bin/sh
# mediapipe and OpenCV load these shared libraries; a bare Debian or Ubuntu lacks them.
set -eu
missing=""
for pair in libGLESv2.so.2:libgles2 libEGL.so.1:libegl1 libGL.so.1:libgl1 libgthread-2.0.so.0:libglib2.0-0; do
    library=${pair%%:*}
    /sbin/ldconfig -p | grep -q "$library" || missing="$missing ${pair#*:}"
done
"${PYTHON:-python3}" -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "longdance needs these packages:$missing. Install them (sudo apt-get install$missing) and run make again." >&2
    exit 1
fi
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
