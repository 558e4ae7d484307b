#!/bin/sh
# Plays docker for the tests of build: what there is lies as files in the directory $FAKE, each call is a line of $FAKE/calls.
# A test puts its own answers into $FAKE/hook, which is read first and may exit.
set -eu
cd "$FAKE"
printf '%s\n' "$*" >>calls
complain() { echo "Error response from daemon: $1" >&2; exit 1; }
last() { while [ $# -gt 1 ]; do shift; done; echo "$1"; }
# The container that a call names last.
id=$(last "$@")
# micro, asked, traced or another role: by what it was made with.
role() {
  case $(cat "containers/$1") in
    *' --missing '*) echo asked ;;
    *' run -o '*) echo traced ;;
    *' probe '*) echo probe ;;
    *' pack '*) echo pack ;;
    *sha256:micro*) echo micro ;;
    *) echo original ;;
  esac
}
# shellcheck source=/dev/null
[ ! -e hook ] || . ./hook
case $1 in
  --version) echo 'Docker version 99.0' ;;
  version) echo 99.0 ;;
  image)
    [ -e "images/$id" ] || { echo '[]'; complain "no such image: $id"; }
    case $* in
      *--format*) cat "images/$id" ;;
      *) sed "s/ID/$(cat "images/$id")/" image.json ;;
    esac
    ;;
  pull) complain "pull access denied for $id" ;;
  volume) case $2 in
    create) touch "volumes/$id" ;;
    rm) rm -f "volumes/$id" ;;
  esac ;;
  create)
    echo >>numbers
    number=$(wc -l <numbers)
    echo "$*" >"containers/c$number"
    echo "c$number"
    ;;
  cp)
    case $2 in
      -) cat >/dev/null ;;
      *) cp -R "outputs/$(basename "$(dirname "$2")")/." "$3" ;;
    esac
    ;;
  start)
    touch "running-$id"
    case $2 in
      --attach)
        rm "running-$id"
        [ "$(role "$id")" != probe ] || echo '{"files":{"files":100,"set_id":3}}'
        ;;
    esac
    ;;
  container)
    running=false
    [ ! -e "running-$id" ] || running=true
    echo "[{\"State\":{\"Running\":$running,\"ExitCode\":$(cat "exit-$(role "$id")" 2>/dev/null || echo 0)}}]"
    ;;
  stop) rm -f "running-$id" ;;
  logs) [ ! -e "log-$(role "$id")" ] || cat "log-$(role "$id")" >&2 ;;
  run)
    case $* in
      *--listen*) echo '{"listening":[80]}' ;;
      *--http*) echo "{\"answer\":{\"request\":\"GET /\",\"status\":$(cat "status" 2>/dev/null || echo 200),\"error\":null}}" ;;
    esac
    ;;
  exec) exit "$(cat exec-status 2>/dev/null || echo 0)" ;;
  load) echo sha256:micro >images/app-micro; echo sha256:micro >images/sha256:micro ;;
  tag) echo "$2" >"images/$3" ;;
  rmi) rm -f "images/$id" ;;
  ps) ls containers ;;
  rm) rm -f "containers/$id" "running-$id" ;;
  *) echo "not played: $*" >&2; exit 99 ;;
esac
