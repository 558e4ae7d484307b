# shellcheck shell=bash disable=SC2034,SC2154
# HAProxy: a master with workers, answers of its own, a file that it answers with.
packages=(haproxy)
entrypoint=(/usr/sbin/haproxy -W -f /etc/site.cfg)
changes=('EXPOSE 8080')
requests=('GET /page 200' 'GET /none 404')

build() {
  put "$1" /etc/site.cfg <<'END'
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend web
  bind :8080
  http-request return status 200 content-type text/plain file /srv/page.txt if { path /page }
  http-request return status 404
END
  put "$1" /srv/page.txt <<<'a page'
}
