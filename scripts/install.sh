#!/usr/bin/env bash
# Installs the Debian packages that are missing: `scripts/install.sh build` for building and running,
# `scripts/install.sh tests` for the tests too, `scripts/install.sh package` for the Debian package,
# `scripts/install.sh bench` for the benchmarks,
# `scripts/install.sh peers` for the benchmarks and the servers that they compare Larder with. Calls apt-get only where
# dpkg says that something is missing, and through sudo where the user is not root. This is the one place where packages
# are named.
set -euo pipefail

build_packages=(
  g++ cmake ninja-build ccache pkg-config
  libboost1.81-dev libhiredis-dev libssl-dev zlib1g-dev libyaml-cpp-dev libspdlog-dev libfmt-dev libcli11-dev
  nlohmann-json3-dev libbrotli-dev libzstd-dev prometheus-cpp-dev
  python3 # the demo API
)
package_packages=(dpkg-dev)
test_packages=(
  doctest-dev redis-server openssl curl python3-jsonschema python3-yaml prometheus
  chromium chromium-driver # the dashboard
  systemd                  # its checks of the units
)
bench_packages=(libbenchmark-dev wrk nginx redis-server strace) # nginx is the origin
peer_packages=(haproxy varnish libnginx-mod-http-lua lua-nginx-redis)

missing() {
  local package
  for package in "$@"; do
    # One query for all would hide the missing ones behind its exit status.
    grep -qx "$package" <<<"$installed" || printf '%s\n' "$package"
  done
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "install.sh: root or sudo is needed for: $*" >&2
    return 1
  fi
}

# Packages such as redis-server start and enable their service; the tests only want the program. Where nothing forbids
# starting, this forbids it for as long as apt-get runs, and a service that this script has brought is not enabled.
policy=/usr/sbin/policy-rc.d
forbid_starting() {
  [ -e "$policy" ] && return
  trap allow_starting EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}
allow_starting() {
  as_root rm -f "$policy"
  trap - EXIT
}

case "${1:-build}" in
  build) wanted=("${build_packages[@]}") ;;
  tests) wanted=("${build_packages[@]}" "${package_packages[@]}" "${test_packages[@]}") ;;
  package) wanted=("${build_packages[@]}" "${package_packages[@]}") ;;
  bench) wanted=("${build_packages[@]}" "${bench_packages[@]}") ;;
  peers) wanted=("${build_packages[@]}" "${bench_packages[@]}" "${peer_packages[@]}") ;;
  *)
    echo "usage: $0 [build|tests|package|bench|peers]" >&2
    exit 2
    ;;
esac

# shellcheck disable=SC2016 # the variables are dpkg-query's
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null |
  sed -n 's/^installed //p' || true)
mapfile -t packages < <(missing "${wanted[@]}")
[ "${#packages[@]}" -eq 0 ] && exit 0

echo "installing: ${packages[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
forbid_starting
install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}")
# Package lists may be absent or too old; they are fetched only where they prove to be.
if ! as_root "${install[@]}" >&2; then
  as_root apt-get update >&2
  as_root "${install[@]}" >&2
fi
if [ -d /run/systemd/system ]; then
  for service in redis-server prometheus nginx haproxy varnish; do
    [[ " ${packages[*]} " != *" $service "* ]] || as_root systemctl disable --quiet "$service" || true
  done
fi
