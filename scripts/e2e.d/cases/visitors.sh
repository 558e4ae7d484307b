# shellcheck shell=bash disable=SC2034,SC2154
# Processes that enter from outside, as health checks and administrators do: what they use is in the image too.

packages=()
entrypoint=(/service.sh)
port=none
docker_options=(--health-cmd /visited/health.sh --health-interval 1s)
# Podman leaves health checks to systemd: nobody makes them there.
explained=('rootless /visited/health.*')
absent=(/usr/bin/dpkg /usr/bin/perl /visited/nobody.txt)

build() {
  local name
  for name in first one two three four health nobody; do put "$1" "/visited/$name.txt" <<<"$name"; done
  put "$1" /service.sh 755 <<'END'
#!/bin/sh
trap 'exit 0' TERM
while :; do sleep 1 & wait $!; done
END
  put "$1" /visited/health.sh 755 <<'END'
#!/bin/sh
exec grep -q health /visited/health.txt
END
  put "$1" /visited/check.sh 755 <<'END'
#!/bin/sh
grep -c . /visited/four.txt
END
}

exercise() {
  local count=0
  # Each of them lives for less than a millisecond.
  for _ in $(seq 100); do
    ! "$containers" exec "$container" true || count=$((count + 1))
  done
  echo "$count"
  "$containers" exec "$container" cat /visited/one.txt
  "$containers" exec --user 1000:1000 "$container" head -n 1 /visited/two.txt
  "$containers" exec "$container" sh -c 'tac /visited/three.txt & wait'
  for _ in 1 2 3; do "$containers" exec "$container" /visited/check.sh; done
  "$containers" exec --workdir /visited "$container" wc -c first.txt
  wait_until 60 has_been_checked
}

# Several times, and all was well; podman and a container without health checks have none.
has_been_checked() {
  local health
  [ "$containers" = docker ] || return 0
  health=$("$containers" inspect --format '{{with .State.Health}}{{.Status}} {{len .Log}}{{end}}' "$container")
  case $health in '' | 'healthy '[5-9]*) ;; 'unhealthy '*) return 2 ;; *) return 1 ;; esac
}

further_checks() { grep -qx visited/health.txt "$directory/entries"; }
