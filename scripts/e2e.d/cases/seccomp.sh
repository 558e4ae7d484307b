# shellcheck shell=bash disable=SC2034,SC2154
# --seccomp-profile: the micro image works under the profile of its trace, with an init, with commands that enter it, and
# under podman; a call that nobody made is refused.

packages=(nginx-light)
entrypoint=(/usr/sbin/nginx -g 'daemon off;')
tracing=(--seccomp-profile /out/seccomp.json)
read_only=no
plainly=no
# Another one sees some calls only.
tracing_options=()

build() {
  rm -f "$1/etc/nginx/sites-enabled/default"
  put "$1" /etc/nginx/conf.d/10-site.conf <<'END_OF_SITE'
server {
    listen 8080;
    root /srv/www;
}
END_OF_SITE
  put "$1" /srv/www/index.html <<<'<!doctype html><title>micro</title>'
  seq 20000 | put "$1" /srv/www/numbers.txt
}

exercise() {
  fetch /
  fetch /numbers.txt | sha256sum
  fetch /missing
  # One that enters from outside: its calls count too.
  "$containers" exec "$container" /usr/sbin/nginx -T 2>/dev/null | sha256sum
}

further_checks() {
  local micro way profile=$out/seccomp.json
  micro=$(load_image "$out/image.tar")
  for way in plain init; do
    local further=()
    [ "$way" = plain ] || further=(--init)
    step "micro image under its seccomp profile ($way)"
    start_container "$micro" --security-opt "seccomp=$profile" "${further[@]}"
    use_container "profiled-$way"
    same_answers "profiled-$way"
    step "micro image under its seccomp profile ($way), no new privileges"
    start_container "$micro" --security-opt "seccomp=$profile" --security-opt no-new-privileges "${further[@]}"
    use_container "profiled-nnp-$way"
    same_answers "profiled-nnp-$way"
  done

  step 'a call that was not seen is refused'
  cc -static -O2 -o "$directory/watch" -x c - <<'END_OF_PROGRAM'
#include <sys/inotify.h>
#include <unistd.h>
int main(void) {
    int refused = inotify_init1(0) < 0;
    write(1, refused ? "refused\n" : "permitted\n", refused ? 8 : 10);
    return 0;
}
END_OF_PROGRAM
  watches permitted
  watches refused --security-opt "seccomp=$profile"

  step 'podman takes it'
  podman_works || { cat "$work/podman/why" >&2; return 1; }
  containers=podman_as_user
  micro=$(load_image "$out/image.tar")
  start_container "$micro" --security-opt "seccomp=$profile" --ulimit nofile=1024:4096 --ulimit nproc=1000:1000
  use_container profiled-podman
  same_answers profiled-podman
}

# watches ANSWER OPTION…: what a program that calls inotify_init1(2) gets from Docker.
watches() {
  local expected=$1 answer
  shift
  answer=$(docker run --rm --label "$run_label" --network none --volume "$directory/watch:/watch:ro" --entrypoint /watch "$@" "$micro")
  [ "$answer" = "$expected" ] || { echo "inotify_init1 is $answer, expected $expected" >&2; return 1; }
}
