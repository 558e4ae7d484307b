# shellcheck shell=bash disable=SC2034,SC2154
# Commands that join by micropacker exec, and micropacker ctl: all that they use is in the image, what they leave behind is followed, and nothing is told as lost.

packages=()
entrypoint=(/service.sh)
port=none
user=1000:1000
capless=yes
absent=(/usr/bin/dpkg /usr/bin/perl /joined/nobody.txt)

build() {
  local name
  for name in one two three late nobody; do put "$1" "/joined/$name.txt" <<<"$name"; done
  put "$1" /service.sh 755 <<'END_OF_SERVICE'
#!/bin/sh
trap 'exit 0' TERM
while :; do sleep 1 & wait $!; done
END_OF_SERVICE
  put "$1" /joined/leave.sh 755 <<'END_OF_SCRIPT'
#!/bin/sh
{ sleep 1; tac /joined/late.txt; : >/tmp/late; } >/dev/null 2>&1 &
cat /joined/three.txt
exit 7
END_OF_SCRIPT
}

exercise() {
  local front=() status=0 round
  # Where micropacker is; it is not in the micro image.
  [ "${log##*/}" != traced ] || front=(/micropacker exec --)
  for round in $(seq 20); do
    "$containers" exec "$container" "${front[@]}" true
    [ ${#front[@]} -eq 0 ] || "$containers" exec "$container" /micropacker ctl status >/dev/null
  done
  "$containers" exec "$container" "${front[@]}" cat /joined/one.txt
  "$containers" exec --user 4321:4321 "$container" "${front[@]}" head -n 1 /joined/two.txt
  # Its output ends, and it does, before what it leaves behind has.
  { "$containers" exec "$container" "${front[@]}" /joined/leave.sh || true; } | cat
  "$containers" exec "$container" "${front[@]}" /joined/leave.sh || status=$?
  echo "status $status"
  "$containers" exec "$container" "${front[@]}" sh -c 'until [ -e /tmp/late ]; do sleep 0.1; done'
  [ ${#front[@]} -eq 0 ] || "$containers" exec "$container" /micropacker ctl status | nothing_lost
}

# nothing_lost: of a status.
nothing_lost() {
  grep '^lost' >"$directory/lost"
  grep -qx 'lost  *nothing' "$directory/lost" || { cat "$directory/lost" >&2; return 1; }
}
