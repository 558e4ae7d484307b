# shellcheck shell=bash disable=SC2154
# Without root's help: rootless podman, and micropacker on the plain host. The machine's own users are not touched:
# the user of rootless podman is known only in a mount namespace of ours.
# Reads work; sets podman_holder.

podman_holder=''
podman_uid=64321 # no range that Debian gives to users or daemons
podman_name=micropacker-e2e
podman_options=(--runtime runc --storage-driver vfs --cgroup-manager cgroupfs)
# Rootless podman asks for more than an ordinary user's hard limits otherwise.
podman_limits=(--ulimit nofile=1024:4096 --ulimit nproc=1000:1000)

# podman_works: makes its user and tries it, once; why it does not work is in a file then.
podman_works() {
  [ ! -e "$work/podman/works" ] || return 0
  [ ! -e "$work/podman/why" ] || return 1
  mkdir -p "$work/podman"/{home,run}
  chown "$podman_uid:$podman_uid" "$work/podman"/{home,run}
  chmod 700 "$work/podman/run"
  try_podman >"$work/podman/why" 2>&1 || return 1
  touch "$work/podman/works"
}

# Called in a condition, so set -e does not hold.
try_podman() {
  local image=micropacker-e2e/try:$$
  podman_as_user import - "$image" <"$(base_rootfs)" &&
    podman_as_user run --rm --network none "${podman_limits[@]}" "$image" /bin/true
}

# start_podman_holder: a process in the mount namespace that knows the user and its subordinate IDs (subuid(5)).
start_podman_holder() {
  local file lists=$work/podman-lists
  mkdir -p "$lists"
  { cat /etc/passwd; echo "$podman_name:x:$podman_uid:$podman_uid::$work/podman/home:/bin/sh"; } >"$lists/passwd"
  { cat /etc/group; echo "$podman_name:x:$podman_uid:"; } >"$lists/group"
  echo "$podman_name:1000000000:65536" | tee "$lists/subuid" >"$lists/subgid"
  for file in subuid subgid; do [ -e "/etc/$file" ] || touch "/etc/$file"; done
  # The inner shell expands the dollars.
  # shellcheck disable=SC2016
  setsid unshare --mount --propagation private sh -euc '
    for file in passwd group subuid subgid; do mount --bind "$1/$file" "/etc/$file"; done
    touch "$1/ready"
    exec sleep infinity
  ' holder "$lists" &
  podman_holder=$!
  wait_until 10 test -e "$lists/ready" || die 'no mount namespace could be made'
}

podman_as_user() { as_podman_user podman "${podman_options[@]}" "$@"; }

# as_podman_user COMMAND…
as_podman_user() {
  nsenter --target "$podman_holder" --mount -- \
    setpriv --reuid="$podman_uid" --regid="$podman_uid" --clear-groups -- \
    env --ignore-environment PATH="$PATH:/usr/sbin:/sbin" HOME="$work/podman/home" XDG_RUNTIME_DIR="$work/podman/run" "$@"
}

# remove_podman_containers OPTION…: options of podman ps say which.
remove_podman_containers() {
  local containers
  containers=$(podman_as_user ps --quiet "$@" 2>/dev/null) || return 0
  # One id a word.
  # shellcheck disable=SC2086
  [ -z "$containers" ] || podman_as_user rm --force --volumes $containers >/dev/null 2>&1 || true
}

stop_podman() {
  local pause=$work/podman/run/libpod/tmp/pause.pid
  [ -n "$podman_holder" ] || return 0
  remove_podman_containers --all
  [ ! -s "$pause" ] || kill "$(cat "$pause")" 2>/dev/null || true
  kill "$podman_holder" 2>/dev/null || true
  wait "$podman_holder" 2>/dev/null || true
  podman_holder=''
}

# run_on_host CASE CONFIGURATION: its job as an ordinary user in no container at all, but for the root directory.
run_on_host() {
  local tree=$directory/tree micro=$directory/micro-tree
  step 'making the tree'
  mkdir -p "$tree" "$micro"
  tar --extract --numeric-owner --xattrs --directory "$tree" --file "$(case_rootfs "$1")"
  install -m 755 "$work/micropacker" "$tree/micropacker"
  install -d -m 1777 "$tree/out"

  step 'original'
  run_in_tree "$tree" original "${entrypoint[@]}"
  step 'traced'
  run_in_tree "$tree" traced /micropacker --verbose --output /out/rootfs.tar --artifacts /out \
    "${tracing_options[@]}" "${tracing[@]}" -- "${entrypoint[@]}"
  same_answers traced
  compare_traced "$2"
  mv "$tree"/out/* "$out/"
  check_outputs "$2"
  step 'micro image'
  tar --extract --numeric-owner --xattrs --directory "$micro" --file "$out/rootfs.tar"
  run_in_tree "$micro" micro "${entrypoint[@]}"
  same_answers micro
}

# run_in_tree TREE NAME COMMAND…: with the variables and in the directory that the image would give it.
run_in_tree() {
  local tree=$1 log=$directory/$2 line place=/ code=0 variables=()
  shift 2
  for line in "${changes[@]}"; do
    case $line in
      'ENV '*) variables+=("${line#ENV }") ;;
      'WORKDIR '*) place=${line#WORKDIR } ;;
    esac
  done
  # The inner shell expands the dollars.
  # shellcheck disable=SC2016
  env --ignore-environment PATH="$PATH" "${variables[@]}" unshare --mount --propagation private sh -euc '
    tree=$1 place=$2 user=$3 group=$4
    shift 4
    mount --bind "$tree" "$tree"
    mount -t proc proc "$tree/proc"
    exec unshare --root "$tree" --wd "$place" --setuid "$user" --setgid "$group" -- "$@"
  ' tree "$tree" "$place" "${user%:*}" "${user#*:}" "$@" </dev/null >"$log.stdout" 2>"$log.stderr" || code=$?
  check_status "$code"
  cp "$log.stdout" "$log.answers"
}
