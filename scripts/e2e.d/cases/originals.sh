# shellcheck shell=bash disable=SC2034,SC2154
# A job that changes its own image in every way that entrypoints do: the micro image starts as the original did.

packages=()
entrypoint=(/job.sh)
built_in=(plain)
port=none
ends=itself
status=7
# It writes all over its image.
read_only=no
absent=(/srv/app/greeting /etc/app.conf.orig /srv/app/archived /srv/app/archived/version /srv/app/spool/job /usr/bin/dpkg)

build() {
  local name
  put "$1" /srv/app/counter <<<0
  put "$1" /srv/app/greeting.in <<<'hello @NAME@'
  put "$1" /etc/app.conf <<<'given=yes'
  put "$1" /etc/edited.conf <<<'value=old'
  put "$1" /srv/app/v1/version <<<one
  put "$1" /srv/app/v2/version <<<two
  ln -s v1 "$1/srv/app/current"
  for name in a b c; do put "$1" "/srv/app/queue/$name" <<<"work $name"; done
  put "$1" /srv/app/database <<<'initial row'
  ln "$1/srv/app/database" "$1/srv/app/database.link"
  put "$1" /srv/app/goodbye <<<'the last word'
  put "$1" /srv/app/secret 640 <<<secret
  chown 33:33 "$1/srv/app/secret"
  mkdir -m 2775 "$1/srv/app/spool"
  chown 0:33 "$1/srv/app/spool"
  put "$1" /job.sh 755 <<'END'
#!/bin/sh
set -e
cd /srv/app
stat -c '%n %a %u %g %s %Y' counter secret database /etc/edited.conf
stat -c '%n %a %u %g %Y' . spool queue v1
# A counter, a database that grows.
echo "run $(($(cat counter) + 1))"
echo "$(($(cat counter) + 1))" >counter
cat database database.link
echo 'another row' >>database
# A template that is rendered and deleted, a configuration that is moved aside, one edited in place.
sed 's/@NAME@/world/' greeting.in >greeting
rm greeting.in
cat greeting
mv /etc/app.conf /etc/app.conf.orig
(echo 'added=yes'; cat /etc/app.conf.orig) >/etc/app.conf
cat /etc/app.conf
sed -i 's/old/new/' /etc/edited.conf
cat /etc/edited.conf
# A release that is switched, another that is put away.
readlink current
cat current/version
ln -sfn v2 current
cat current/version
mv v1 archived
cat archived/version
# A queue that is worked off.
for file in queue/*; do cat "$file"; rm "$file"; done
rmdir queue
chmod 600 secret
chown 0:0 secret
touch secret
echo job >spool/job
trap 'cat goodbye; exit 7' TERM
kill -TERM $$
END
  find "$1/srv/app" "$1/etc/edited.conf" -exec touch --no-dereference --date '2020-02-02 02:02:02 UTC' {} +
}

exercise() { :; }
