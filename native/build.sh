#!/bin/sh
# Builds the kernels for this checkout and puts the module beside the Python sources (for `PYTHONPATH=src`).
# PYTHON names the interpreter, which must have nanobind, cmake and ninja; further arguments go to cmake.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
build=${PANPIPE_BUILD_DIR:-$root/build/dev}
PATH=$(dirname "$("$python" -c 'import sys; print(sys.executable)')"):$PATH
cmake -S "$root/native" -B "$build" -G Ninja -DPython_EXECUTABLE="$("$python" -c 'import sys; print(sys.executable)')" "$@" >"$build.log" 2>&1 ||
  { cat "$build.log"; exit 1; }
cmake --build "$build"
module=$(ls "$build"/_native*.so)
if [ -z "${PANPIPE_NO_COPY:-}" ]; then
  # In one step: whoever imports it meanwhile gets the old one or the new one whole.
  cp "$module" "$root/src/panpipe/.$(basename "$module").new"
  mv "$root/src/panpipe/.$(basename "$module").new" "$root/src/panpipe/$(basename "$module")"
fi
