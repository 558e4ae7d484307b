# shellcheck shell=bash disable=SC2034,SC2154
# Set-user-ID programs and file capabilities with --keep-setuid: they work under trace as they do without, wherever they do at all.

packages=(sudo passwd libcap2-bin iputils-ping python3-minimal)
entrypoint=(/as_guest.sh)
changes=('ENV MICROPACKER_KEEP_SETUID=1')
port=none
ends=itself
absent=(/usr/bin/perl /usr/bin/dpkg)
# They gain nothing there, traced or not, and give up before they read anything.
explained=('no-new-privs *'
  # A directory that su lists: what runs untraced is known by what it opens.
  '* /etc/security/limits.d'
  # The password is not changed there.
  'read-only /etc/.pwd.lock')
writable=(/run /var/tmp)

build() {
  mkdir "$1/gain"
  chroot "$1" useradd --create-home --shell /bin/sh --uid 1500 guest
  chroot "$1" useradd --create-home --shell /bin/sh --uid 1501 other
  printf '%s\n' guest:Saffron-42-Kite root:Harbour-77-Moss | chroot "$1" chpasswd
  put "$1" /etc/sudoers.d/guest 440 <<<'guest ALL=(ALL) NOPASSWD: ALL'
  put "$1" /etc/secret.txt 600 <<<'for root alone'
  put "$1" /etc/others.txt 600 <<<'for the other one'
  chroot "$1" chown other /etc/others.txt
  cp "$1/bin/cat" "$1/gain/capable"
  cp "$1/bin/cat" "$1/gain/from_thread"
  chroot "$1" setcap cap_dac_override+ep /gain/capable
  chmod 4755 "$1/gain/from_thread"
  put "$1" /as_guest.sh 755 <<'END'
#!/bin/sh
exec setpriv --reuid=guest --regid=guest --init-groups -- /guest.sh
END
  # A process with several threads of which another than the first executes.
  put "$1" /gain/from_thread.py 644 <<'END'
import os, threading, time

def read():
    while True:
        open("/etc/hostname").close()

for _ in range(4):
    threading.Thread(target=read, daemon=True).start()
threading.Thread(target=lambda: os.execv("/gain/from_thread", ["from_thread", "/etc/secret.txt"])).start()
while True:
    time.sleep(1)
END
  put "$1" /guest.sh 755 <<'END'
#!/bin/sh
id -u
# Told apart, since a read-only file system has it fail.
change() { printf '%s\n' "$1" "$2" "$2" | passwd >/dev/null 2>&1 && echo 'password changed' >&2; }
echo sudo; sudo -n cat /etc/secret.txt 2>/dev/null || echo refused
echo sudo to another; sudo -n -u other sh -c 'id -u; cat /etc/others.txt' 2>/dev/null || echo refused
echo su; echo Harbour-77-Moss | su -c 'id -u; cat /etc/secret.txt' 2>/dev/null || echo refused
echo passwd; passwd -S 2>/dev/null | cut -d ' ' -f 1,2 || echo refused
change Saffron-42-Kite Turnip-93-Lamp; change Turnip-93-Lamp Saffron-42-Kite
echo capable; /gain/capable /etc/secret.txt 2>/dev/null || echo refused
echo from a thread; python3 /gain/from_thread.py 2>/dev/null || echo refused
echo ping; ping -c 1 127.0.0.1 >/dev/null 2>&1 && echo answered || echo refused
exit 0
END
}

exercise() { :; }

# There and back.
further_checks() {
  local run
  step 'changing the password'
  for run in original traced micro; do
    [ "$(grep -c 'password changed' "$directory/$run.stderr")" -eq 2 ] ||
      { echo "$run: the password was not changed" >&2; return 1; }
  done
}
