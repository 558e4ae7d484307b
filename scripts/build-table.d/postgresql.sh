# shellcheck shell=bash disable=SC2034,SC2154
# PostgreSQL by a shell entrypoint that makes its database first.
packages=(postgresql-15)
entrypoint=(/entrypoint.sh)
changes=('EXPOSE 5432' 'VOLUME /data' 'STOPSIGNAL SIGINT' 'ENV PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin')
options=(--ready 'log:ready to accept connections' --exec 'psql -U postgres -c "create table t (i int)"'
  --exec 'psql -U postgres -c "insert into t select generate_series(1, 1000)"'
  --exec "psql -U postgres -c \"select count(*), now() at time zone 'UTC' from t where i::text ~ '7'\"")

build() {
  put "$1" /entrypoint.sh 755 <<'END'
#!/bin/sh
set -e
if [ "$(id -u)" = 0 ]; then
    install -d -o postgres -g postgres -m 700 /data/db
    install -d -o postgres -g postgres /run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0"
fi
initdb --auth=trust --locale=C --encoding=UTF8 -D /data/db
exec postgres -D /data/db
END
  mkdir -p "$1/data"
}
