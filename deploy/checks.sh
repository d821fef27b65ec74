#!/usr/bin/env bash
# Every check and test of the project; `./run test` calls it. With arguments, only those steps.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export MESH_ROOT="$PWD"

say() { printf '\n== %s\n' "$*"; }

tools() { say 'tools'; deploy/tools.sh all; }
format() { say 'format'; cargo fmt --all --check; }
lint() { say 'lints'; cargo clippy --locked --workspace --all-targets -- -D warnings; }
licences() {
  say 'licences, bans, sources'
  .tools/bin/cargo-deny --log-level error --locked check --hide-inclusion-graph bans licenses sources
}
docs() { say 'documentation'; RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --quiet; }
build() { say 'build'; cargo build --locked --workspace --bins; }
tests() {
  say 'tests'
  [ -x .tools/bin/nats-server ] && export MESH_NATS_SERVER="$PWD/.tools/bin/nats-server"
  cargo test --locked --workspace --no-fail-fast
}
# Three minutes of `./run chaos` with one seed: real processes, about thirty faults, and the proof afterwards.
chaos() {
  say 'chaos'
  [ -x .tools/bin/nats-server ] && export MESH_NATS_SERVER="$PWD/.tools/bin/nats-server"
  cargo build --locked --workspace --bins
  target/debug/mesh-chaos run --minutes 3 --seed 2
}

# nats-server reserves a share of what is free for its streams, and tests wait minutes for what it then refuses.
free_kib="$(df -Pk . | awk 'NR == 2 { print $4 }')"
if [ "$free_kib" -lt $((10 << 20)) ]; then
  say "warning: less than 10 GiB are free here; tests of the broker are likely to fail for that alone"
fi

steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(tools format build tests chaos lint docs licences)
for step in "${steps[@]}"; do
  case "$step" in
    tools | format | lint | licences | docs | build | tests | chaos) "$step" ;;
    *) printf 'error[E_USAGE]: no step %s\n' "$step" >&2; exit 2 ;;
  esac
done
say 'all checks passed'
