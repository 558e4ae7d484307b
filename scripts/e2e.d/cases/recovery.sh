# shellcheck shell=bash disable=SC2034,SC2154
# A service that changes its image when it starts, and is killed: what its journal gives, wherever it is packed, is what an orderly end would have given.

packages=(busybox)
entrypoint=(/service.sh)
checked_in=(plain user rootless)
user=1000:1000
capless=yes
read_only=no
absent=(/srv/app/www/index.html /srv/app/put-aside /srv/app/www/unused.html /usr/bin/perl)

build() {
  put "$1" /service.sh 755 <<'END'
#!/bin/sh
cd /srv/app
# Once in a container's life, as entrypoints do.
if [ -e page.in ]; then
  sed "s/@NAME@/${NAME:-world}/" page.in >www/index.html
  rm page.in
  sed -i 's/old/new/' service.conf
  mv given put-aside
fi
cat service.conf put-aside
chmod 700 www/private.html
trap 'exit 0' TERM
busybox httpd -f -p 8080 -h www &
while :; do wait; done
END
  put "$1" /srv/app/page.in <<<'hello @NAME@'
  put "$1" /srv/app/service.conf <<<'value=old'
  put "$1" /srv/app/given <<<'given'
  put "$1" /srv/app/www/private.html 750 <<<'private'
  put "$1" /srv/app/www/late.html <<<'asked for in the last moment'
  put "$1" /srv/app/www/unused.html <<<'never asked for'
  chown -R 1000:1000 "$1/srv/app"
  find "$1/srv/app" -exec touch --no-dereference --date '2020-02-02 02:02:02.123456789 UTC' {} +
}

exercise() {
  local page
  # Rendered when it starts, so its time is the start's.
  for page in / /private.html /late.html; do fetch "$page" | sed -E '/^(Last-Modified|ETag): /d'; done
}

# How it should be: as its run with an orderly end was.
further_checks() {
  local killed=$directory/killed journal=$directory/killed/rootfs.tar.journal original way
  original=$(import_image recovery)
  for way in killed new merged committed exported again; do
    mkdir -p "$directory/$way"
    chmod 1777 "$directory/$way"
  done

  step 'the run that is killed'
  start_container "$original" "${options[@]}" \
    --volume "$work/micropacker:/micropacker:ro" --volume "$killed:/out" --entrypoint /micropacker \
    -- --output /out/rootfs.tar "${tracing_options[@]}" -- "${entrypoint[@]}"
  # Not its first process alone: who is asked has to answer.
  wait_until 60 answers "$port"
  exercise >"$directory/killed.answers"
  same_answers killed
  wait_until 10 grep -q /late.html "$journal"
  ends=killed
  end_container "$directory/killed"
  ends=stopped
  [ "$(exit_status)" = 137 ]
  holds "$killed" $'rootfs.tar.journal\nrootfs.tar.originals'

  step 'recovery in a new container of the image'
  recover_in "$original" new --journal /killed/rootfs.tar.journal
  step 'the journal, the report of the run that ended and its list, packed together'
  recover_in "$original" merged -i /killed/rootfs.tar.journal -i /ended/report.json -i /ended/files.txt
  step 'recovery in a container of what was committed'
  "$containers" commit "$container" "micropacker-e2e/recovery:committed-$$" >/dev/null
  remember_image "micropacker-e2e/recovery:committed-$$"
  recover_in "micropacker-e2e/recovery:committed-$$" committed --journal /killed/rootfs.tar.journal
  step 'recovery from what was exported'
  mkdir "$directory/tree"
  # podman's user may not open a pipe of ours.
  "$containers" export --output "$directory/exported/tree.tar" "$container"
  tar --extract --numeric-owner --directory "$directory/tree" --file "$directory/exported/tree.tar"
  "$work/micropacker" pack --root "$directory/tree" --journal "$journal" --output "$directory/exported/rootfs.tar" \
    2>"$directory/exported.stderr"
  recovered exported

  step 'the killed container, started again'
  "$containers" start "$container" >/dev/null
  container_pid=$("$containers" inspect --format '{{.State.Pid}}' "$container")
  wait_until 60 answers "$port"
  exercise >"$directory/again.answers"
  same_answers again
  end_container "$directory/again"
  check_status "$(exit_status)"
  mv "$killed/rootfs.tar" "$directory/again/"
  recovered again
  holds "$killed" ''

  step 'the micro image of what was recovered'
  micro=$(load_image "$directory/new/image.tar")
  remember_image "$micro"
  start_container "$micro" "${options[@]}"
  use_container recovered
  same_answers recovered
}

# holds DIRECTORY NAMES: these and no others.
holds() { [ "$(ls -A "$1")" = "$2" ] || { ls -Al "$1" >&2; return 1; }; }

# recover_in IMAGE WAY INPUT…: in a container of its own beside the killed one, which stays container.
recover_in() {
  local of_the_killed=$container image=$1 way=$2
  shift 2
  start_container "$image" "${options[@]}" \
    --volume "$work/micropacker:/micropacker:ro" --volume "$directory/killed:/killed:ro" --volume "$out:/ended:ro" \
    --volume "$directory/$way:/out" --entrypoint /micropacker \
    -- pack "$@" --output /out/rootfs.tar --artifacts /out
  ends=itself
  end_container "$directory/$way"
  ends=stopped
  check_status "$(exit_status)"
  container=$of_the_killed
  recovered "$way"
}

# recovered WAY: nothing is told to be lost, and every file is as in the run that ended.
recovered() {
  ! grep 'warning: ' "$directory/$1.stderr" >&2 || return 1
  python3 "$repository/scripts/e2e.d/compare_tarballs.py" "$out/rootfs.tar" "$directory/$1/rootfs.tar" >&2
}
