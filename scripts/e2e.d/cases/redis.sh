# shellcheck shell=bash disable=SC2034,SC2154
# redis by a shell entrypoint, which gives up root with setpriv and executes itself, then the server.

packages=(redis-server)
entrypoint=(/entrypoint.sh redis-server --port 6379 --save 3600 1 --dir /data)
changes=('WORKDIR /data' 'VOLUME /data')
port=6379
user=1000:1000
writable=(/data)
# Whoever is no root gives up nothing: no chown, no setpriv, and no user's name is looked up.
explained=('@(user|cap-drop) /usr/bin/@(chown|setpriv)' '@(user|cap-drop) /usr/lib/*/libcap-ng.so.*'
  '@(user|cap-drop) /etc/@(passwd|group|nsswitch.conf)' '@(user|cap-drop) /var/lib/dpkg/status.d/@(util-linux|libcap-ng0)')
guessed=('EXPOSE 6379/tcp' 'VOLUME /data')
absent=(/usr/bin/perl /usr/bin/dpkg /usr/bin/redis-cli)

build() {
  put "$1" /entrypoint.sh 755 <<'END'
#!/bin/sh
set -e
if [ "$(id -u)" = 0 ]; then
    chown redis:redis .
    exec setpriv --reuid=redis --regid=redis --init-groups -- "$0" "$@"
fi
umask 077
exec "$@"
END
  mkdir -p "$1/data"
}

exercise() {
  talk 6379 <<'END'
SET greeting hello
APPEND greeting -world
GET greeting
INCR counter
SAVE
EVAL "return redis.call('GET', 'greeting')" 0
CONFIG GET dir
QUIT
END
}
