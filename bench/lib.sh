# Shared by the scripts here: sourced after tools/lib.sh, not run. A Release build ($sluice, $load), versitygw if
# it is installed or tools/test has built it, a folder of its own that is removed at the end, and servers that are stopped by their process ids.

sluice=$("$top/tools/build")
load=$top/build/release/sluice-bench
versitygw=$(command -v versitygw || true)
for place in "$HOME/go/bin" "$top/build/go/bin"; do
  [ -n "$versitygw" ] || [ ! -x "$place/versitygw" ] || versitygw=$place/versitygw
done

folder=$(mktemp -d "${TMPDIR:-/tmp}/sluice-bench.XXXXXX")
pids=()
finish() {
  for pid in "${pids[@]}"; do
    kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
  done
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
unset AWS_CA_BUNDLE

free_port() {
  local port
  for _ in {1..50}; do
    port=$((20000 + RANDOM % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  return 1
}

# wait_for NAME PID PORT [HOST]
wait_for() {
  for _ in {1..100}; do
    (exec 3<>"/dev/tcp/${4:-127.0.0.1}/$3") 2>/dev/null && return
    kill -0 "$2" 2>/dev/null || break
    sleep 0.1
  done
  echo "$1 doesn't start:" >&2
  cat "$folder/$1.log" >&2
  return 1
}

# What figures are of.
machine() {
  echo "$(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(date -u +%F), load $(cut -d' ' -f1 /proc/loadavg)"
}

field() { sed -n "s/.*\"$1\":\([-0-9.]*\).*/\1/p"; }

peak() { awk '/^VmHWM/ {printf "%.0f", $2 / 1024}' "/proc/$1/status"; }

# What the load generator met, the commonest first.
show_errors() {
  [ -s "$folder/errors" ] || return 0
  echo
  sort "$folder/errors" | uniq -c | sort -rn | head -5 >&2
}
