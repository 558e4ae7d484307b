# shellcheck shell=bash disable=SC2034,SC2154
# MariaDB by a shell entrypoint that makes its database first.
packages=(mariadb-server)
entrypoint=(/entrypoint.sh)
changes=('EXPOSE 3306' 'VOLUME /data')
options=(--stop-timeout 60 --exec 'mariadb -e "create database d; create table d.t (i int); insert into d.t values (1), (2)"'
  --exec 'mariadb -e "select sum(i), upper(date_format(now(), \"%M\")) from d.t"')

build() {
  put "$1" /entrypoint.sh 755 <<'END'
#!/bin/sh
set -e
mkdir -p /run/mysqld
chown mysql:mysql /run/mysqld /data
mariadb-install-db --user=mysql --datadir=/data --skip-test-db >/dev/null
exec mariadbd --user=mysql --datadir=/data --bind-address=0.0.0.0 --port=3306
END
  mkdir -p "$1/data"
}
