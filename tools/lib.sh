# Shared by the scripts here: sourced, not run.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What building needs, then what testing needs besides: Debian 12 package names.
build_packages=(gcc libc6-dev cmake ninja-build pkg-config libh2o-evloop-dev librocksdb-dev
  libcurl4-openssl-dev libssl-dev libxml2-dev libyaml-dev libjansson-dev libprotobuf-c-dev
  protobuf-c-compiler libsodium-dev libisal-dev)
test_packages=(libcmocka-dev python3 python3-venv awscli openssl curl)
fuzz_packages=(clang-19 libclang-rt-19-dev)

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs those of the named packages that are missing; asks apt for nothing when none is.
install_missing() {
  local p missing=()
  for p in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
  done
  [ ${#missing[@]} = 0 ] && return
  echo "installing: ${missing[*]}" >&2
  as_root apt-get update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >&2
}

# build_tree NAME [cmake arguments]: configures once and builds build/NAME.
build_tree() {
  local name=$1
  shift
  cmake -G Ninja -S "$top" -B "$top/build/$name" "$@" >"$top/build/$name.cmake.log" 2>&1 ||
    { cat "$top/build/$name.cmake.log" >&2; return 1; }
  ninja -C "$top/build/$name" >"$top/build/$name.ninja.log" 2>&1 ||
    { grep -v '^\[' "$top/build/$name.ninja.log" | head -60 >&2; return 1; }
}
