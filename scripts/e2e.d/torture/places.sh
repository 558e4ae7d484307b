# shellcheck shell=bash disable=SC2034,SC2154
# The torture image in one engine: original, traced, micro image, and what is judged of each.
# Reads work, torture, and what scripts/e2e.d sets.

entry=(/usr/bin/python3 /torture/run.py)
volume_of_image=/t/prefilled-volume/v

# Cases that cannot pass yet.
expected=()

# enter_place PLACE: sets containers.
enter_place() {
  run_label=micropacker-torture=$$
  case $1 in
    overlay2) containers=docker; start_engine ;;
    vfs) containers=docker; start_vfs_engine ;;
    rootless)
      containers=podman_as_user
      start_podman_holder
      podman_works || { skip "$1" "rootless podman does not work here: $(tail -n 1 "$work/podman/why")"; return 0; }
      ;;
  esac
}

# An engine of our own beside the machine's, with nothing in common with it.
start_vfs_engine() {
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  export DOCKER_HOST=unix://$work/engine.sock
  setsid dockerd --storage-driver vfs --iptables=false --ip6tables=false --bridge=none --log-level=warn \
    --host "$DOCKER_HOST" --data-root "$work/engine" --exec-root "$work/engine-run" --pidfile "$work/engine.pid" \
    >"$work/engine.log" 2>&1 &
  engine_pid=$!
  wait_until 60 engine_answers || { tail -n 20 "$work/engine.log" >&2; return 1; }
}

skip() { say "$1: not run: $2"; touch "$work/$1/skipped"; }

# torture_in PLACE
torture_in() {
  local status=0 directory=$work/$1 image=micropacker-torture:$$
  mkdir -p "$directory"/{out,bind,included}
  chmod 1777 "$directory/out"
  trap leave_engine EXIT
  enter_place "$1"
  [ ! -e "$directory/skipped" ] || return 0
  options=(--ulimit nofile=1024:4096 --ulimit nproc=1000:1000)

  say "$1: importing"
  "$containers" import --change "VOLUME $volume_of_image" \
    --change 'ENV PYTHONDONTWRITEBYTECODE=1' --change "ENV TORTURE_SEEDS=$TORTURE_SEEDS" --change 'ENTRYPOINT ["/usr/bin/python3","/torture/run.py","exercise"]' - "$image" <"$work/image.tar" >/dev/null

  say "$1: original"
  take_snapshot "$image" "$directory/original"
  start_container "$image" "${options[@]}" --entrypoint "${entry[0]}" -- "${entry[1]}" check
  ends=itself
  end_container "$directory/original-check"
  [ "$(exit_status)" = 0 ] || { grep -v ': ok$' "$directory/original-check.stdout" >&2; return 1; }

  say "$1: traced"
  put_mounts "$directory"
  start_container "$image" "${options[@]}" "${mounts[@]}" \
    --volume "$work/micropacker:/micropacker:ro" --volume "$directory/out:/out" --entrypoint /micropacker \
    -- -d --keep-package-metadata off --output /out/rootfs.tar --artifacts /out --include-mount /t/included-mount/m -- "${entry[@]}" exercise
  wait_until 120 is_ready
  ends=stopped
  end_container "$directory/traced"
  [ "$(exit_status)" = 0 ] || { grep -v ': ok$' "$directory/traced.stdout"; tail "$directory/traced.stderr"; return 1; } >&2

  say "$1: micro image"
  micro=$("$containers" load <"$directory/out/image.tar" | sed -n 's/^Loaded image\( ID\)\{0,1\}: //p' | tail -n 1)
  take_snapshot "$micro" "$directory/micro"
  start_container "$micro" "${options[@]}" --entrypoint "${entry[0]}" -- "${entry[1]}" check
  ends=itself
  end_container "$directory/micro-check"
  judge_place "$1" "$directory" || status=1
  [ "$1" != overlay2 ] || restart_in "$directory" "$image" || status=1
  return $status
}

# restart_in DIRECTORY IMAGE: what the first run of a container left is told from the image's files in the second.
restart_in() {
  local fault='' entries run
  mkdir -p "$1/restart"
  start_container "$2" "${options[@]}" --volume "$work/micropacker:/micropacker:ro" --volume "$1/restart:/out" \
    --entrypoint /micropacker -- --output /out/rootfs.tar -- /bin/sh /t/restart/run
  ends=itself
  for run in first second; do
    [ "$run" = first ] || "$containers" start "$container" >/dev/null
    end_container "$1/restart-$run"
    [ "$(exit_status)" = 0 ] || fault="the $run run failed"
  done
  entries=$(tar --list --file "$1/restart/rootfs.tar")
  for path in t/restart/counter etc/debian_version t/restart/state/; do
    grep -qx "$path" <<<"$entries" || fault="$path is missing"
  done
  ! grep -qx t/restart/state/made <<<"$entries" || fault='what the first run made is there'
  grep -q 'left out.*: /t/restart/state/made$' "$1/restart-second.stderr" || fault='what is left out is not told'
  grep -q 'files of the image were changed.*: /etc/debian_version, /t/restart/counter$' "$1/restart-second.stderr" ||
    fault='what was changed is not told'
  if [ -z "$fault" ]; then
    echo '1 passed, 0 failed'
  else
    echo "restart: failed: $fault"
    echo '0 passed, 1 failed'
  fi | tee --append "$1/verdict"
  [ -z "$fault" ]
}

# judge_place PLACE DIRECTORY: the tree that the engine made of image.tar, and the one that GNU tar makes of rootfs.tar.
judge_place() {
  local status=0
  mkdir "$2/extracted"
  tar --extract --warning=no-unknown-keyword --numeric-owner --same-permissions --acls --xattrs --xattrs-include='*' \
    --directory "$2/extracted" --file "$2/out/rootfs.tar"
  python3 "$torture/tree.py" "$2/extracted" >"$2/extracted.json"
  {
    python3 "$torture/judge.py" "$2/original.json" "$2/micro.json" "$2/micro-check.stdout" "${expected[@]}" || status=1
    python3 "$torture/judge.py" "$2/original.json" "$2/extracted.json" '' "${expected[@]}" || status=1
  } >"$2/verdict"
  cat "$2/verdict"
  return $status
}

# take_snapshot IMAGE FILE: its tree as its own program sees it.
take_snapshot() {
  start_container "$1" "${options[@]}" --entrypoint "${entry[0]}" -- "${entry[1]}" snapshot
  ends=itself
  end_container "$2-snapshot"
  [ "$(exit_status)" = 0 ] || { cat "$2-snapshot.stderr" >&2; return 1; }
  mv "$2-snapshot.stdout" "$2.json"
}

# put_mounts DIRECTORY: what the traced container has mounted; sets mounts.
put_mounts() {
  echo theirs | tee "$1"/{bind,included}/theirs >"$1/token"
  mounts=(
    --volume "$1/bind:/t/bind/m" --volume "$1/included:/t/included-mount/m"
    --volume "torture-$$:/t/volume/m" --tmpfs /t/tmpfs/m
    --volume "$1/token:/t/secret/run/token:ro" --volume "$1/token:/t/secret-over-a-file/token:ro"
  )
}

is_ready() {
  ! has_ended || return 2
  "$containers" logs "$container" 2>/dev/null | grep -qx ready
}

leave_engine() {
  [ -n "${containers:-}" ] || return 0
  remove_containers_of_place
  "$containers" volume rm --force "torture-$$" >/dev/null 2>&1 || true
  "$containers" rmi --force "micropacker-torture:$$" ${micro:+"$micro"} >/dev/null 2>&1 || true
  stop_engine
  stop_podman
}

remove_containers_of_place() {
  case $containers in
    docker) remove_containers "$run_label" ;;
    *) remove_podman_containers --all ;;
  esac
}
