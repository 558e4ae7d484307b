# shellcheck shell=bash disable=SC2154
# One container at a time: start it, reach into its network from outside, stop it, look at it.
# Reads the labels, and containers: docker, or a function that takes docker's arguments.
# Sets container and container_pid.

container='' container_pid=''

# start_container IMAGE OPTION… [-- ARGUMENT…]: detached, with no network but its own loopback.
start_container() {
  local image=$1 options=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
  [ $# -eq 0 ] || shift
  container=$("$containers" create --label "$run_label" --label "$case_label" --network none "${options[@]}" "$image" "$@")
  "$containers" start "$container" >/dev/null
  container_pid=$("$containers" inspect --format '{{.State.Pid}}' "$container")
}

# inside COMMAND…: a program of this machine in the container's network.
inside() {
  local into=(--net)
  # Rootless podman's user is root in there.
  [ "$(id -u)" -eq 0 ] || into+=(--user --preserve-credentials)
  nsenter --target "$container_pid" "${into[@]}" -- "$@"
}

# fetch PATH [PORT]: status, headers and body as a client sees them, without what tells the time.
fetch() {
  inside curl --silent --show-error --include --max-time 10 "http://127.0.0.1:${2:-8080}$1" |
    sed '/^Date: /d'
}

has_ended() { [ "$("$containers" inspect --format '{{.State.Running}}' "$container")" = false ]; }

# answers PORT: something accepts connections there. 2 when the container has ended.
answers() {
  ! has_ended || return 2
  inside bash -c ": </dev/tcp/127.0.0.1/$1" 2>/dev/null
}

# talk PORT: standard input to the service, its answer to standard output.
talk() { inside timeout 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$1; cat >&3; cat <&3"; }

exit_status() { "$containers" inspect --format '{{.State.ExitCode}}' "$container"; }

# end_container LOG: has it stopped, when it does not end by itself; keeps its output and state.
end_container() {
  case $ends in
    stopped) "$containers" stop -t "${patience:-60}" "$container" >/dev/null ;;
    killed)
      "$containers" kill "$container" >/dev/null
      wait_until 60 has_ended || { echo 'the container does not end' >&2; return 1; }
      ;;
    itself) wait_until 120 has_ended || { echo 'the container does not end' >&2; return 1; } ;;
  esac
  save_logs "$1"
}

save_logs() {
  "$containers" logs "$container" >"$1.stdout" 2>"$1.stderr" || true
  "$containers" inspect --format '{{json .State}}' "$container" >"$1.state" || true
}
