# shellcheck shell=bash disable=SC2034,SC2154
# Programs that change who runs, started by root: they need no set-user-ID bit and work wherever they work untraced.

packages=(sudo gosu iputils-ping passwd util-linux)
entrypoint=(/helpers.sh)
built_in=(plain)
port=none
ends=itself
absent=(/usr/bin/perl /usr/bin/dpkg)

build() {
  chroot "$1" useradd --create-home --shell /bin/sh --uid 1500 guest
  put "$1" /home/guest/note.txt 600 <<<'for guest alone'
  chown 1500:1500 "$1/home/guest/note.txt"
  put "$1" /helpers.sh 755 <<'END'
#!/bin/sh
note='id -u; cat /home/guest/note.txt'
echo su && su guest -c "$note"
echo runuser && runuser -u guest -- sh -c "$note"
echo sudo && sudo -n -u guest sh -c "$note"
echo gosu && gosu guest sh -c "$note"
echo setpriv && setpriv --reuid=guest --regid=guest --init-groups -- sh -c "$note"
echo passwd && passwd -S guest | cut -d ' ' -f 1,2
echo ping && ping -q -c 1 127.0.0.1 >/dev/null && echo answered
exit 0
END
}

exercise() { :; }
