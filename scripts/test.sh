#!/usr/bin/env bash
# Installs what is missing, builds and runs all tests through ctest.
#
#   scripts/test.sh [asan|tsan] [ctest arguments, such as -R integration/cache]
#
# asan (address and undefined behaviour) and tsan build into build-asan/ and build-tsan/, everything else into build/.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

sanitizer=''
case "${1:-}" in
  asan | tsan)
    sanitizer=$1
    shift
    ;;
esac
build=$repository/build${sanitizer:+-$sanitizer}
type=${sanitizer:+RelWithDebInfo}

"$repository/scripts/install.sh" tests

# Configured only where needed: a second run begins to test at once.
if [ ! -f "$build/build.ninja" ] || ! grep -qx 'LARDER_TESTS:BOOL=ON' "$build/CMakeCache.txt"; then
  cmake -G Ninja -S "$repository" -B "$build" -DCMAKE_BUILD_TYPE="${type:-Release}" -DLARDER_TESTS=ON \
    -DLARDER_SANITIZE="$sanitizer"
fi
cmake --build "$build"

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-second_deadlock_stack=1:history_size=4}
run=()
if [ "$sanitizer" = tsan ] && setarch "$(uname -m)" --addr-no-randomize true 2>/dev/null; then
  # GCC 12's TSan does not know the layouts that more random address bits lead to.
  run=(setarch "$(uname -m)" --addr-no-randomize)
fi
"${run[@]}" ctest --test-dir "$build" --output-on-failure --parallel "$(nproc)" "$@"
