# shellcheck shell=bash disable=SC2034,SC2154
# An image that starts as an ordinary user, by name, and never asks who that is. It is traced by root, who may write
# the outputs where nobody else may, and runs as that user all the same.

entrypoint=(/app/tell)
changes=('USER app' 'WORKDIR /app')
port=none
ends=itself
# It prints its capabilities.
plainly=no
traced_options=(--user 0)
tracing=(--image-config /out/inspect.json)
absent=(/usr/bin/id /app/unused.txt /usr/bin/dpkg)

build() {
  echo 'app:x:4711:4712:An application:/app/home:/bin/sh' >>"$1/etc/passwd"
  printf 'app:x:4712:\nlog:x:4713:app\n' >>"$1/etc/group"
  put "$1" /app/tell 755 <<'END'
#!/bin/sh
# What differs under trace is not asked for.
grep -E '^(Uid|Gid|Groups|Cap...):' /proc/self/status
echo "$HOME" "$PWD"
cat private.txt
( : >/app/made ) 2>/dev/null || echo 'it may not write there'
echo 'standard output can be opened' >/dev/stdout
END
  put "$1" /app/private.txt 600 <<<'for this user alone'
  chown 4711:4712 "$1/app/private.txt"
  put "$1" /app/unused.txt <<<'never asked for'
}

prepare_traced() {
  "$containers" image inspect "$1" >"$out/inspect.json"
  # The root of a rootless container is an ordinary user of this machine.
  [ "$containers" != docker ] || chmod 755 "$out"
}

exercise() { echo 'an ordinary user'; }
