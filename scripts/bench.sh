#!/usr/bin/env bash
# Installs what is missing, builds Release and measures: prints the table of Larder's speed and memory on this machine,
# in Markdown.
#
#   scripts/bench.sh [--peers] [--rows 1,2,5] [--rounds 5] [--secs 3] [--json FILE]
#   scripts/bench.sh --micro [benchmark options, such as --benchmark_filter=look_up]
#
# Peers (HAProxy, nginx, Varnish, nginx with Lua and Redis) are measured where they are there; --peers installs them.
# --rounds: turns that each server takes. --secs: seconds of a turn. --json: the figures, into a file too.
# --rows 18 also measures builds, which takes minutes. --micro runs the micro-benchmarks of the hit path and the codec
# (Google Benchmark) instead. Only numbers of one run on a quiet machine compare.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$repository/build-bench

# Builds one target, configured only where needed; stdout belongs to the table.
build() {
  if [ ! -f "$build/build.ninja" ]; then
    cmake -G Ninja -S "$repository" -B "$build" -DCMAKE_BUILD_TYPE=Release -DLARDER_TESTS=OFF -DLARDER_BENCH=ON >&2
  fi
  cmake --build "$build" --target "$1" >&2
}

if [ "${1:-}" = --micro ]; then
  shift
  "$repository/scripts/install.sh" bench
  build larder_bench
  exec "$build/tests/bench/larder_bench" "$@"
fi

packages=bench
options=()
for option in "$@"; do
  case $option in
    --peers) packages=peers ;;
    -h | --help)
      sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit
      ;;
    *) options+=("$option") ;;
  esac
done

# -P: the package is this one, whatever the directory that the user stands in holds.
table=(env PYTHONPATH="$repository/tests/bench" python3 -B -P -m table --build "$build" "${options[@]}")
if command -v python3 >/dev/null; then
  "${table[@]}" --check # a wrong option is told before the build, not after it
fi
"$repository/scripts/install.sh" "$packages"
build bench_table
exec "${table[@]}"
