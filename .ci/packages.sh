# shellcheck shell=bash
# Debian packages that building and testing need, installed when missing. For `./test`, `./bench` and `.ci/run`, which
# source this file from the root of the repository. On another system it says what is missing and stops.

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

command -v cargo >/dev/null || PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
command -v cargo >/dev/null || fail "cargo was not found: install Rust with rustup first"

missing=()

need() { # PACKAGE COMMAND...: the package is missing when the command fails
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}

# A compiler without the headers of the C library cannot compile the embedded Lua.
compiles_c() { printf '#include <stdio.h>\n' | cc -E -; }

need_build_tools() { need build-essential compiles_c; }

install_missing() {
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "missing: ${missing[*]} (no apt-get here: please install them)"
  local as_root=(env DEBIAN_FRONTEND=noninteractive)
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "missing: ${missing[*]} (installing them needs root or sudo)"
    as_root=(sudo "${as_root[@]}")
  fi
  printf 'installing: %s\n' "${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
  # The package starts a server of its own. Nobody asked for one on this machine, so it goes again.
  if [[ " ${missing[*]} " == *" redis-server "* ]]; then
    if [ -d /run/systemd/system ]; then
      "${as_root[@]}" systemctl disable --quiet --now redis-server
    elif [ -x /etc/init.d/redis-server ]; then
      "${as_root[@]}" /etc/init.d/redis-server stop >/dev/null
    fi
  fi
  missing=()
}
