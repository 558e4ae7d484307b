# shellcheck shell=bash disable=SC2034,SC2154
# One static binary and its data in an image without anything else: no shell, no loader, no /tmp.

from_scratch=yes
entrypoint=(/server 8080)
changes=('ENV GREETING=hello')
user=1000:1000
capless=yes
absent=(/srv/unused.txt /lib /bin /usr /etc/passwd)

build() {
  cc -static -O2 -o "$1/server" "$repository/scripts/e2e.d/static_server.c"
  put "$1" /srv/page.txt <<<'a page'
  put "$1" /srv/unused.txt <<<'never asked for'
}

exercise() {
  fetch /page.txt
  fetch /missing.txt
}

# The other ways to load what was written: docker build with the Dockerfile, every tool with the archive.
further_checks() {
  local image=micropacker-e2e/static:built-$$
  # It listens where nobody outside reaches it.
  grep -q '^# Not exposed: /server listened on 127.0.0.1:8080/tcp' "$out/Dockerfile"
  ! grep '^EXPOSE' "$out/Dockerfile" >&2
  step 'docker build'
  # The legacy builder is part of every engine; a client without buildx has no other.
  DOCKER_BUILDKIT=0 docker build --quiet --tag "$image" "$out" >"$directory/build.log" 2>&1 ||
    { cat "$directory/build.log" >&2; return 1; }
  remember_image "$image"
  start_container "$image"
  use_container built
  same_answers built

  docker image inspect "$image" >"$directory/inspect.json"
  check_archives "$directory/inspect.json"
}
