#!/usr/bin/env bash
# Builds the Debian package: `scripts/package.sh [FOLDER]` puts larder_VERSION_ARCH.deb into FOLDER (default: build/package)
# and prints its path. It depends on the libraries of the system that it is built on: build on Debian 12 for Debian 12.
#
# Environment: LARDER_BUILD=FOLDER packs what is built there already and builds nothing.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$(realpath -m "${1:-$repository/build/package}")

"$repository/scripts/install.sh" package
if [ -n "${LARDER_BUILD:-}" ]; then
  build=$(realpath "$LARDER_BUILD")
else
  build=$repository/build-package
  cmake -G Ninja -S "$repository" -B "$build" -DCMAKE_BUILD_TYPE=Release -DLARDER_TESTS=OFF >&2
  ninja -C "$build" larder >&2
fi

# CPack leaves its working folder beside the package: pack elsewhere, and take the package alone.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$target"
(cd "$work" && cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work" >&2)
for package in "$work"/*.deb; do
  install -m 644 "$package" "$target"
  printf '%s\n' "$target/$(basename "$package")"
done
