# shellcheck shell=bash disable=SC2034,SC2154
# BIND: a name server with a zone of its own, asked by a client inside.
packages=(bind9 bind9-dnsutils)
entrypoint=(/usr/sbin/named -g -u bind -c /etc/bind/site.conf)
changes=('EXPOSE 53/tcp' 'EXPOSE 53/udp')
options=(--exec 'dig +tries=1 @127.0.0.1 www.example A' --exec 'dig +tcp @127.0.0.1 none.example A')

build() {
  put "$1" /etc/bind/site.conf <<'END'
options { directory "/var/cache/bind"; recursion no; listen-on { any; }; pid-file none; session-keyfile none; };
controls { };
zone "example" { type master; file "/etc/bind/example.zone"; };
END
  put "$1" /etc/bind/example.zone <<'END'
$TTL 60
@ IN SOA ns root 1 60 60 60 60
@ IN NS ns
ns IN A 192.0.2.1
www IN A 192.0.2.2
END
}
