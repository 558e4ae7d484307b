# shellcheck shell=bash disable=SC2034,SC2154
# Redis by a shell entrypoint that gives up root, with a volume and a health check.
packages=(redis-server redis-tools)
entrypoint=(/entrypoint.sh)
changes=('CMD ["redis-server","--save","3600","1","--dir","/data"]' 'WORKDIR /data' 'VOLUME /data' 'EXPOSE 6379'
  'HEALTHCHECK --interval=1s CMD redis-cli ping')
options=(--exec 'redis-cli set greeting hello' --exec 'redis-cli save'
  --exec "redis-cli eval \"return redis.call('GET', 'greeting')\" 0")

build() {
  put "$1" /entrypoint.sh 755 <<'END'
#!/bin/sh
set -e
if [ "$(id -u)" = 0 ]; then
    chown redis:redis .
    exec setpriv --reuid=redis --regid=redis --init-groups -- "$0" "$@"
fi
exec "$@"
END
  mkdir -p "$1/data"
}
