# shellcheck shell=bash disable=SC2034,SC2154
# The Docker engine: the one that runs, or one of our own for the time of the run.
# Reads work; sets engine_pid, DOCKER_HOST and the labels.

engine_pid=''
# What belongs to this run, and to the case that runs.
run_label=micropacker-e2e=$$ case_label=micropacker-e2e-case=$$

start_engine() {
  if docker version >/dev/null 2>&1; then
    say "uses the Docker engine that runs here"
    return
  fi
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  export DOCKER_HOST=unix://$work/engine.sock
  # The containers have no network but loopback, so the engine need not touch the machine's.
  # A session of its own: an interrupt from the terminal is for us alone.
  setsid dockerd --iptables=false --ip6tables=false --bridge=none --log-level=warn \
    --host "$DOCKER_HOST" --data-root "$work/engine" --exec-root "$work/engine-run" \
    --pidfile "$work/engine.pid" >"$work/engine.log" 2>&1 &
  engine_pid=$!
  if ! wait_until 60 engine_answers; then
    tail -n 20 "$work/engine.log" >&2
    die "the Docker engine did not start"
  fi
  say "started a Docker engine of its own"
}

engine_answers() {
  kill -0 "$engine_pid" 2>/dev/null || return 2
  docker version >/dev/null 2>&1
}

stop_engine() {
  [ -n "$engine_pid" ] || return 0
  kill "$engine_pid" 2>/dev/null || true
  wait "$engine_pid" 2>/dev/null || true
  engine_pid=''
}

# wait_until SECONDS COMMAND…: polls until it succeeds; gives up early when it returns 2.
wait_until() {
  local deadline=$((SECONDS + $1)) status
  shift
  while true; do
    status=0
    "$@" || status=$?
    case $status in
      0) return 0 ;;
      2) return 1 ;;
    esac
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

# end_groups PID…: ends process groups and waits until their last processes have tidied up.
end_groups() {
  local pid
  for pid in "$@"; do
    kill -- "-$pid" 2>/dev/null || continue
    wait_until 30 is_gone "$pid" || kill -KILL -- "-$pid" 2>/dev/null || true
  done
}

# is_gone PID: the process group, but for those that nobody has reaped.
is_gone() { [ -z "$(ps -e -o pgid=,stat= | awk -v group="$1" '$1 == group && $2 !~ /^Z/')" ]; }

# remove_containers LABEL
remove_containers() {
  local containers
  containers=$(docker ps --all --quiet --filter "label=$1" 2>/dev/null) || return 0
  # One id a word.
  # shellcheck disable=SC2086
  [ -z "$containers" ] || docker rm --force --volumes $containers >/dev/null 2>&1 || true
}

remove_images() {
  [ -e "$work/images" ] || return 0
  xargs --no-run-if-empty docker rmi --force <"$work/images" >/dev/null 2>&1 || true
}

# remember_image NAME: to be removed at the end.
remember_image() { echo "$1" >>"$work/images"; }
