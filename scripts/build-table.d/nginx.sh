# shellcheck shell=bash disable=SC2034,SC2154
# nginx: a master that stays root, workers that do not, requests and its own test of its configuration.
packages=(nginx-light)
entrypoint=(/usr/sbin/nginx -g 'daemon off;')
changes=('EXPOSE 8080' 'STOPSIGNAL SIGQUIT')
requests=('GET / 200' 'GET /numbers.txt 200' 'GET /missing 404')
options=(--exec 'nginx -t')

build() {
  rm -f "$1/etc/nginx/sites-enabled/default"
  put "$1" /etc/nginx/conf.d/site.conf <<<'server { listen 8080; root /srv/www; }'
  put "$1" /srv/www/index.html <<<'<title>micro</title>'
  seq 20000 | put "$1" /srv/www/numbers.txt
}
