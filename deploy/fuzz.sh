#!/usr/bin/env bash
# deploy/fuzz.sh TARGET [SECONDS]: libFuzzer over one decoder of tests/fuzz, on stable Rust. What it finds is
# printed and kept below target/fuzz; put it into tests/fuzz/corpus/TARGET as a regression.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

targets="$(ls tests/fuzz/corpus)"
target="${1:-}"
if [ -z "$target" ] || [ ! -d "tests/fuzz/corpus/$target" ]; then
  printf 'error[E_USAGE]: which target?\n  hint: %s\n' "$(echo $targets)" >&2
  exit 2
fi
host="$(rustc -vV | sed -n 's/^host: //p')"
# The same versions as the workspace's: it is no member of it.
cp Cargo.lock tests/fuzz/libfuzzer/Cargo.lock
# With a target named, build scripts and macros are not instrumented.
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares" \
  cargo build --release --target "$host" --target-dir target/fuzz \
  --manifest-path tests/fuzz/libfuzzer/Cargo.toml
found="target/fuzz/found/$target"
mkdir -p "$found/corpus"
MESH_FUZZ_TARGET="$target" exec "target/fuzz/$host/release/mesh-libfuzzer" \
  -max_total_time="${2:-60}" -max_len=16384 -rss_limit_mb=1024 -timeout=5 \
  -artifact_prefix="$found/" "$found/corpus" "tests/fuzz/corpus/$target"
