# shellcheck shell=bash disable=SC2034,SC2154
# A service whose outputs are packed while it runs, and that uses and changes more when it is stopped: they hold what those of a run without that hold.

packages=(busybox)
entrypoint=(/service.sh)
checked_in=(plain rootless)
user=1000:1000
capless=yes
read_only=no
tracing=(--pack-ahead)
absent=(/srv/app/never.txt /srv/app/made/new /usr/bin/perl)

build() {
  put "$1" /service.sh 755 <<'END_OF_SERVICE'
#!/bin/sh
# What is late stands before, between and behind what was early.
stop() {
  cat /etc/a-late.conf /srv/app/data/b-late.txt /srv/zlate.txt
  rm /srv/app/last.txt
  chmod 700 /srv/app/data
  echo new >/srv/app/made/new
  exit 0
}
trap stop TERM
cat /srv/app/data/a-early.txt /srv/app/data/c-early.txt /srv/app/last.txt
busybox httpd -f -p 8080 -h /srv/app/www &
while :; do wait; done
END_OF_SERVICE
  local file
  for file in /etc/a-late.conf /srv/zlate.txt /srv/app/{never.txt,last.txt,made/old,www/index.html,data/{a-early,b-late,c-early}.txt}; do
    put "$1" "$file" <<<"$file"
  done
  ln "$1/srv/app/data/c-early.txt" "$1/srv/app/data/another-name.txt"
  chown -R 1000:1000 "$1/srv/app"
  find "$1/srv" -exec touch --no-dereference --date '2020-02-02 02:02:02.123456789 UTC' {} +
}

exercise() {
  fetch /index.html | sed -E '/^(Last-Modified|ETag): /d'
  [ "$log" != "$directory/traced" ] || wait_until 60 is_packed_ahead
}

is_packed_ahead() { "$containers" logs "$container" 2>&1 | grep -q 'entries are packed ahead'; }

further_checks() {
  local original once=$directory/once way
  grep -q 'entries are packed ahead' "$directory/traced.stderr"
  original=$(import_image ahead)
  mkdir "$once"
  chmod 1777 "$once"

  step 'a run that packs at its end'
  start_container "$original" "${options[@]}" \
    --volume "$work/micropacker:/micropacker:ro" --volume "$once:/out" --entrypoint /micropacker \
    -- --output /out/rootfs.tar --artifacts /out "${tracing_options[@]}" -- "${entrypoint[@]}"
  use_container once
  python3 "$repository/scripts/e2e.d/compare_tarballs.py" "$once/rootfs.tar" "$out/rootfs.tar" >&2

  step 'what the engine makes of both'
  for way in once out; do
    micro=$(load_image "$directory/$way/image.tar")
    remember_image "$micro"
    "$containers" create --name "ahead-$way-$$" "$micro" >/dev/null
    "$containers" export --output "$directory/$way/tree.tar" "ahead-$way-$$"
    "$containers" rm "ahead-$way-$$" >/dev/null
  done
  python3 "$repository/scripts/e2e.d/compare_tarballs.py" "$once/tree.tar" "$out/tree.tar" >&2
}
