# shellcheck shell=bash disable=SC2034,SC2154
# PHP with its own web server, in the text form of CMD.
packages=(php-cli)
entrypoint=()
changes=('CMD exec php -S 0.0.0.0:8080 -t /srv/www' 'EXPOSE 8080' 'STOPSIGNAL SIGINT')
requests=('GET /index.php 200' 'GET /none.php 404')

build() {
  put "$1" /srv/www/index.php <<'END'
<?php require __DIR__ . '/../lib/page.php'; echo page(json_encode(['pid' => getmypid()])), hash('sha256', 'x');
END
  put "$1" /srv/lib/page.php <<<"<?php function page(\$text) { return strtoupper(\$text); }"
}
