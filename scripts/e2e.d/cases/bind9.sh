# shellcheck shell=bash disable=SC2034,SC2154
# A name server that locks itself into a directory and gives up root, but keeps capabilities (chroot, PR_SET_KEEPCAPS).

packages=(bind9)
entrypoint=(/usr/sbin/named -g -4 -u bind -t /srv/jail -c /etc/named.conf)
built_in=(plain)
port=5353
# Its working directory must be its own, which no tmpfs is.
read_only=no
absent=(/usr/bin/perl /usr/bin/dpkg /srv/jail/etc/unused.zone)

build() {
  local jail=$1/srv/jail
  mkdir -p "$jail"/{etc,run/named,var/cache/bind}
  put "$jail" /etc/named.conf 644 <<'END'
options {
    directory "/var/cache/bind";
    pid-file none;
    session-keyfile none;
    listen-on port 5353 { 127.0.0.1; };
    recursion no;
    dnssec-validation no;
    minimal-responses yes;
    empty-zones-enable no;
};
controls { };
zone "example.test" { type primary; file "/etc/example.zone"; };
END
  put "$jail" /etc/example.zone 644 <<'END'
$TTL 3600
@ IN SOA ns.example.test. root.example.test. 1 3600 600 86400 3600
@ IN NS ns.example.test.
ns IN A 192.0.2.1
www IN A 192.0.2.80
END
  put "$jail" /etc/unused.zone 644 <<<'; nobody asks for it'
  chroot "$1" chown -R bind:bind /srv/jail/var/cache/bind /srv/jail/run/named
}

# The question for www.example.test, and for a name that is not there, over TCP. It listens before it has read its
# zones, and answers SERVFAIL (2) until then.
exercise() {
  local name answer tries
  for name in '\3www' '\3ftp'; do
    for ((tries = 0; tries < 100; tries++)); do
      answer=$(ask "$name")
      [[ $answer == ' 12 34 '??' 02 '* ]] || break
      sleep 0.1
    done
    printf '%s: %s\n' "$name" "$answer"
  done
}

ask() {
  # The inner shell expands the dollars.
  # shellcheck disable=SC2016
  inside timeout 10 bash -c '
    exec 3<>/dev/tcp/127.0.0.1/5353
    printf "\0\42\22\64\0\0\0\1\0\0\0\0\0\0$1\7example\4test\0\0\1\0\1" >&3
    length=$(head -c 2 <&3 | od -An -tu1 | { read -r high low; echo $((high * 256 + low)); })
    head -c "$length" <&3 | od -An -tx1
  ' ask "$1"
}
