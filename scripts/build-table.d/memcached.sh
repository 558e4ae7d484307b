# shellcheck shell=bash disable=SC2034,SC2154
# memcached, used by a script of the host in the network of the container.
packages=(memcached)
entrypoint=(/usr/bin/memcached -u nobody)
changes=('EXPOSE 11211')
# The script expands the dollars.
# shellcheck disable=SC2016
options=(--exercise 'nsenter --target "$($ENGINE inspect --format "{{.State.Pid}}" "$CID")" --net -- bash -c "
  exec 3<>/dev/tcp/127.0.0.1/11211; printf \"set k 0 0 1\r\nv\r\nget k\r\nquit\r\n\" >&3; grep -q VALUE <&3"')

build() { :; }
