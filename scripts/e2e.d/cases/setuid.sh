# shellcheck shell=bash disable=SC2034,SC2154
# Set-user-ID programs started by an ordinary user: kept where the kernel lets a tracer keep them, told where it does not.

packages=(sudo passwd libcap2-bin)
entrypoint=(/as_guest.sh)
port=none
ends=itself
absent=(/usr/bin/perl /usr/bin/dpkg)
# Elsewhere each of these must be told, with the remedy.
gains=(/usr/bin/sudo /usr/bin/passwd /gain/capable)
gains_in=(full sys-ptrace no-new-privs)
# They gain nothing there, traced or not, and give up before they read anything.
explained=('no-new-privs *')

build() {
  mkdir "$1/gain"
  chroot "$1" useradd --create-home --shell /bin/sh --uid 1500 guest
  put "$1" /etc/sudoers.d/guest 440 <<<'guest ALL=(ALL) NOPASSWD: ALL'
  put "$1" /etc/secret.txt 600 <<<'for root alone'
  cp "$1/bin/cat" "$1/gain/capable"
  chroot "$1" setcap cap_dac_override+ep /gain/capable
  put "$1" /as_guest.sh 755 <<'END'
#!/bin/sh
exec setpriv --reuid=guest --regid=guest --init-groups -- /guest.sh
END
  put "$1" /guest.sh 755 <<'END'
#!/bin/sh
id -u
echo sudo; sudo -n cat /etc/secret.txt 2>/dev/null || echo refused
echo passwd; passwd -S 2>/dev/null | cut -d ' ' -f 1,2 || echo refused
echo capable; /gain/capable /etc/secret.txt 2>/dev/null || echo refused
exit 0
END
}

exercise() { :; }
