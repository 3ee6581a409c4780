#!/usr/bin/env bash
# Installs what is missing, builds Release into build/, and runs Larder.
#
#   scripts/run.sh                                   a demo API with Larder before it, and curl lines to try
#   scripts/run.sh --origin http://HOST:PORT [...]   Larder before your own API; everything is passed to `larder serve`
#
# Environment: LARDER=FILE runs this binary and builds nothing. For the demo only: LARDER_LISTEN (127.0.0.1:8080) and
# LARDER_ADMIN (127.0.0.1:8081).
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

build() {
  "$repository/scripts/install.sh" build
  # Ninja configures again by itself where that is needed; the tests stay as they were configured.
  if [ ! -f "$repository/build/build.ninja" ]; then
    cmake -G Ninja -S "$repository" -B "$repository/build" -DCMAKE_BUILD_TYPE=Release -DLARDER_TESTS=OFF >&2
  fi
  local quiet=()
  [ -x "$repository/build/larder" ] && quiet=(--quiet)
  ninja -C "$repository/build" "${quiet[@]}" larder >&2
}

if [ -z "${LARDER:-}" ]; then
  build
  LARDER=$repository/build/larder
fi

if [ $# -gt 0 ]; then
  exec "$LARDER" serve "$@"
fi

listen=${LARDER_LISTEN:-127.0.0.1:8080}
admin=${LARDER_ADMIN:-127.0.0.1:8081}
token="demo-token-of-larder"

# Ctrl-C ends both: started in the background they ignore it themselves.
children=()
cleanup() {
  trap - EXIT INT TERM
  [ "${#children[@]}" -eq 0 ] || kill "${children[@]}" 2>/dev/null || true
  wait || true
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

coproc demo { exec python3 "$repository/scripts/demo_api.py" --port 0; }
children+=("$demo_PID")
read -r demo_line <&"${demo[0]}" || {
  echo "run.sh: the demo API did not start" >&2
  exit 1
}
demo_url=${demo_line##* }

introduce() {
  local larder=http://$1
  cat <<TEXT

The demo API is at $demo_url, Larder at $larder. The API takes 300 ms for every answer. Try:

  curl -i $larder/api/products/1
      X-Cache: MISS: the API was asked. Again:
  curl -i $larder/api/products/1
      X-Cache: HIT, at once. Now a write, which purges what it has changed before it is answered:
  curl -i -X PUT -H 'Content-Type: application/json' -d '{"name":"Oak table","price":199}' $larder/api/products/1
  curl -i $larder/api/products/1
      X-Cache: MISS, with the new price: nobody is given the old one.
  curl -i '$larder/api/search?q=table'
  curl -s -H 'Authorization: Bearer $token' http://$2/api/cache/keys
      What is stored now. The dashboard is at http://$2/; sign in with $token.

The rules are in conf/demo-rules.yaml. Ctrl-C ends both.

TEXT
}

# Passes Larder's log on, and introduces it as soon as both listeners are there. It must outlive the interrupt, or the
# last lines of the log would have nobody to read them.
show_log() {
  trap '' INT TERM
  local line api='' console=''
  while IFS= read -r line; do
    printf '%s\n' "$line"
    [ -n "$console" ] && [ -n "$api" ] && continue
    if [[ $line =~ admin\ listening\ on\ ([^[:space:]]+) ]]; then
      console=${BASH_REMATCH[1]}
    elif [[ $line =~ listening\ on\ ([^[:space:]]+) ]]; then
      api=${BASH_REMATCH[1]}
    fi
    [ -z "$console" ] || [ -z "$api" ] || introduce "$api" "$console"
  done
}

"$LARDER" serve --listen "$listen" --admin "$admin" --origin "$demo_url" --redis off \
  --rules "$repository/conf/demo-rules.yaml" --token "$token" > >(show_log) 2>&1 &
children+=($!)
wait "${children[1]}"
