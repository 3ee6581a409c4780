#!/usr/bin/env bash
# Installs what is missing, builds and runs the micro-benchmarks of the hit path and the codec (Google Benchmark).
#
#   scripts/bench.sh [benchmark options, such as --benchmark_filter=look_up]
#
# Only numbers of one run on a quiet machine compare.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$repository/build-bench

"$repository/scripts/install.sh" bench
if [ ! -f "$build/build.ninja" ]; then
  cmake -G Ninja -S "$repository" -B "$build" -DCMAKE_BUILD_TYPE=Release -DLARDER_TESTS=OFF -DLARDER_BENCH=ON
fi
cmake --build "$build" --target larder_bench
exec "$build/tests/bench/larder_bench" "$@"
