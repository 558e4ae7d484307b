# shellcheck shell=bash disable=SC2034,SC2154
# The ways in which people run containers, and what each may not lose against full privileges.
# Reads work, named, and the settings of the case.

# The first is what the others are compared with.
configurations=(full plain sys-ptrace user cap-drop no-new-privs read-only rootless host-user)

# configure CASE CONFIGURATION: sets containers and options; says why in a file where the case cannot run so.
configure() {
  local place tmpfs_options=''
  containers=docker options=()
  case $2 in
    full) options=(--cap-add SYS_PTRACE --cap-add SYS_ADMIN --security-opt seccomp=unconfined) ;;
    plain) ;;
    sys-ptrace) options=(--cap-add SYS_PTRACE) ;;
    user)
      [ -n "$user" ] || { skip 'it needs root'; return; }
      options=(--user "$user")
      ;;
    cap-drop)
      [ "$capless" = yes ] || [ -n "$user" ] || { skip 'it needs capabilities'; return; }
      options=(--cap-drop ALL)
      [ "$capless" = yes ] || options+=(--user "$user")
      ;;
    no-new-privs) options=(--security-opt no-new-privileges) ;;
    read-only)
      [ "$read_only" = yes ] || skip 'it writes into its image'
      options=(--read-only --tmpfs /tmp)
      ;;
    rootless)
      containers=podman_as_user
      options=("${podman_limits[@]}")
      podman_works || skip_unless_named "$2" "rootless podman does not work here: $(tail -n 1 "$work/podman/why")"
      ;;
    host-user)
      containers=none
      { [ "$port" = none ] && [ "$ends" = itself ] && [ -n "$user" ]; } || skip 'it is no batch job of an ordinary user'
      ;;
    *) die "no such configuration: '$2'" ;;
  esac
  [ "$containers" != docker ] || options+=("${docker_options[@]}")
  case $2 in user | cap-drop) tmpfs_options=:uid=${user%:*},gid=${user#*:} ;; esac
  case $2 in
    user | cap-drop | read-only) for place in "${writable[@]}"; do options+=(--tmpfs "$place$tmpfs_options"); done ;;
  esac
}

skip() { echo "$1" >"$directory/skipped"; }

# skip_unless_named CONFIGURATION REASON: who asks for one by its name must not take its absence for success.
skip_unless_named() {
  if [[ " ${named[*]} " == *" $1 "* ]]; then echo "$2" >&2; return 1; fi
  skip "$2"
}

# is_started_plainly CONFIGURATION: whether what was traced so must also work in a container without options.
is_started_plainly() {
  [ "$plainly" = yes ] || return 1
  case $1 in
    full | sys-ptrace | read-only) ;;
    # As this user it may write nowhere else than on the tmpfs.
    user | cap-drop) [ ${#writable[@]} -eq 0 ] ;;
    *) return 1 ;;
  esac
}

# are_gained_in CONFIGURATION: whether set-user-ID programs keep their meaning under trace.
are_gained_in() { [ ${#gains[@]} -eq 0 ] || [[ " ${gains_in[*]} " == *" $1 "* ]]; }

# losses_of_gains: each set-user-ID program that gained nothing was told, with the remedy. That is all that can be asked there.
losses_of_gains() {
  local program
  step 'telling what set-user-ID programs lose'
  for program in "${gains[@]}"; do
    grep -F -- "$program" "$directory/traced.stderr" | grep -qF -- '--cap-add SYS_PTRACE' ||
      { echo "nothing is said of $program" >&2; return 1; }
  done
  touch "$directory/told"
}

# list_missing CONFIGURATION: what full privileges ship and this configuration does not, but for what its case explains; and what it ships beyond.
list_missing() {
  local base=$directory/../${configurations[0]}/entries path
  [ -e "$base" ] || return 0
  LC_ALL=C comm -23 "$base" "$directory/entries" | while IFS= read -r path; do
    is_explained "$1" "/${path%/}" || echo "/$path"
  done >"$directory/missing"
  LC_ALL=C comm -13 "$base" "$directory/entries" >"$directory/more"
}

# none_missing CONFIGURATION
none_missing() {
  # What a program would have used that gained nothing was told.
  [ -s "$directory/missing" ] && are_gained_in "$1" || return 0
  {
    echo "missing against ${configurations[0]}, of which $(lost "$directory") warnings may tell:"
    cat "$directory/missing"
  } >&2
  return 1
}

# is_explained CONFIGURATION PATH
is_explained() {
  local place pattern
  # What lies on a tmpfs is no part of the image.
  case $1 in
    user | cap-drop | read-only)
      for place in "${writable[@]}"; do [[ $2 != "$place"/* ]] || return 0; done
      ;;
  esac
  for pattern in "${explained[@]}"; do
    # The pattern's own wildcards count.
    # shellcheck disable=SC2053
    [[ "$1 $2" != $pattern ]] || return 0
  done
  return 1
}

# lost DIRECTORY: how many warnings its traced run gave.
lost() {
  if [ -e "$1/traced.stderr" ]; then grep -c '^micropacker: warning: ' "$1/traced.stderr" || true; else echo -; fi
}

# told_of_trace DIRECTORY: how many paths and programs were read of the tracees, and how much could not be seen.
told_of_trace() {
  local line
  line=$(sed -nE 's/^micropacker: ([0-9]+) paths used, ([0-9]+) programs started, .* ([0-9]+) losses; .*/\1 \2 \3/p' \
    "$1/traced.stderr" 2>/dev/null | tail -n 1) || true
  echo "${line:-- - -}"
}

# matrix_row CASE CONFIGURATION RESULT
matrix_row() {
  local directory=$work/$1/$2 missing=- resolved=- paths programs losses
  [ ! -e "$directory/missing" ] || missing=$(wc -l <"$directory/missing")
  [ ! -e "$directory/entries" ] || resolved=$(wc -l <"$directory/entries")
  read -r paths programs losses < <(told_of_trace "$directory")
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$(engine_of "$1" "$2")" \
    "$paths" "$programs" "$resolved" "$losses" "$(lost "$directory")" "$missing" "$3"
}
