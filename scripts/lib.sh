# shellcheck shell=bash
# Shared by the scripts beside it: messages, the repository's place, the rust target of a machine.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=${0##*/}

say() { printf '%s: %s\n' "$program" "$*" >&2; }
die() { say "$*"; exit 1; }

# rust_target ARCHITECTURE: the musl target of an architecture as uname -m names it.
rust_target() {
  case $1 in
    x86_64 | amd64) echo x86_64-unknown-linux-musl ;;
    aarch64 | arm64) echo aarch64-unknown-linux-musl ;;
    *) die "no micropacker for the architecture '$1': x86_64 and aarch64 only" ;;
  esac
}

# binary_of TARGET: where cargo leaves the release binary.
binary_of() { echo "${CARGO_TARGET_DIR:-$repository/target}/$1/release/micropacker"; }

# Where scripts/setup scanner puts a scanner and SPDX's tools, in a Python environment of their own.
# shellcheck disable=SC2034
checkers=${XDG_CACHE_HOME:-${HOME-}/.cache}/micropacker-checkers
