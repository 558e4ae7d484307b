# shellcheck shell=bash disable=SC2034,SC2154
# lighttpd, as an ordinary user by USER.
packages=(lighttpd)
entrypoint=(/usr/sbin/lighttpd -D -f /etc/site.conf)
changes=('EXPOSE 8080' 'USER www-data')
requests=('GET /page.html 200' 'GET /missing 404')

build() {
  put "$1" /etc/site.conf <<'END'
server.document-root = "/srv/www"
server.port = 8080
mimetype.assign = (".html" => "text/html")
END
  put "$1" /srv/www/page.html <<<'a page'
}
