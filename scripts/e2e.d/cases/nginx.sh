# shellcheck shell=bash disable=SC2034,SC2154
# nginx: a master that stays root, workers as www-data, configuration by include patterns, files opened only on request.

packages=(nginx-light)
entrypoint=(/usr/sbin/nginx -g 'daemon off;')
port=8080
user=33:33 # www-data in every Debian
writable=(/run /var/log/nginx /var/lib/nginx)
# A master that is no root ignores the directive 'user' and looks no name up.
explained=('@(user|cap-drop) /etc/@(passwd|group|nsswitch.conf)')
guessed=('EXPOSE 8080/tcp' 'EXPOSE 8081/tcp')
absent=(/bin/sh /usr/bin/sh /usr/bin/dpkg /srv/www/unused.html)

build() {
  local tree=$1
  rm -f "$tree/etc/nginx/sites-enabled/default"
  put "$tree" /etc/nginx/conf.d/10-site.conf <<'END'
server {
    listen 8080;
    root /srv/www;
    location /moved { return 302 /; }
}
END
  put "$tree" /etc/nginx/conf.d/20-status.conf <<'END'
server {
    listen 8081;
    location / { return 200 "second\n"; }
}
END
  put "$tree" /srv/www/index.html <<<'<!doctype html><title>micro</title>'
  put "$tree" /srv/www/unused.html <<<'never asked for'
  seq 20000 | put "$tree" /srv/www/numbers.txt
  chown -R 33:33 "$tree/srv/www" # www-data in every Debian
  chmod 750 "$tree/srv/www"
}

exercise() {
  fetch /
  fetch /numbers.txt | sha256sum
  fetch /missing
  fetch /moved
  fetch / 8081
}
