# shellcheck shell=bash disable=SC2034,SC2154
# One static binary and its data in an image without anything else, read-only and without capabilities.
from_scratch=yes
entrypoint=(/server 8080)
changes=('EXPOSE 8080' 'ENV GREETING=hello' 'USER 1000:1000')
requests=('GET /page.txt 200' 'GET /missing.txt 404')
run_options=(--read-only --cap-drop ALL)

build() {
  cc -static -O2 -o "$1/server" "$repository/scripts/e2e.d/static_server.c"
  put "$1" /srv/page.txt <<<'a page'
  put "$1" /srv/unused.txt <<<'never asked for'
}
