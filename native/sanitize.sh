#!/bin/sh
# The laws of engines under a sanitizer:   native/sanitize.sh address | undefined | thread
#
# Builds the module apart with that sanitizer (gcc or clang) and runs tests/laws/test_ops.py on it. PYTHON names the
# interpreter, which must have what `pip install -e .[...]` of this checkout needs, and pytest and hypothesis.
set -eu
kind=${1:-}
case $kind in
  address) library=libasan.so ;;
  undefined) library=libubsan.so ;;
  thread) library=libtsan.so ;;
  *) echo "usage: native/sanitize.sh address | undefined | thread" >&2; exit 2 ;;
esac
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
build=$root/build/$kind
PANPIPE_BUILD_DIR=$build PANPIPE_NO_COPY=1 PYTHON=$python "$root/native/build.sh" -DPANPIPE_SANITIZE="$kind" >/dev/null

# A copy of the sources beside the module, so that the ordinary module is never the one that is tested.
rm -rf "$build/src"
mkdir -p "$build/src"
cp -r "$root/src/panpipe" "$build/src/panpipe"
rm -f "$build/src/panpipe"/_native*.so
cp "$build"/_native*.so "$build/src/panpipe/"

export PYTHONPATH="$build/src" PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 PANPIPE_NUM_THREADS=3
# The interpreter frees little when it ends, which is no leak of ours.
export ASAN_OPTIONS=detect_leaks=0:halt_on_error=1:log_path=$build/report
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:log_path=$build/report
export TSAN_OPTIONS="suppressions=$root/native/thread_sanitizer.txt:exitcode=66:die_after_fork=0:log_path=$build/report"
compiler=${CXX:-c++}
preload=$("$compiler" -print-file-name=$library)
if [ "$kind" != undefined ]; then
  # The C++ runtime too: the sanitizer looks there for what it replaces, and the interpreter does not link it.
  preload="$preload $("$compiler" -print-file-name=libstdc++.so.6)"
fi
cd "$root"
rm -f "$build"/report.*
result=0
LD_PRELOAD=$preload "$python" -m pytest -p no:cacheprovider tests/laws/test_ops.py \
  -k "not reference and not torch" --hypothesis-seed=0 || result=$?
# pytest swallows what is written while a test runs: the reports lie in files.
cat "$build"/report.* 2>/dev/null && result=1
exit $result
