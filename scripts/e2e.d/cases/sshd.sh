# shellcheck shell=bash disable=SC2034,SC2154
# A secure shell server: a chroot and seccomp filters of its own for who has not logged in yet, and a login with a key.

packages=(openssh-server)
entrypoint=(/usr/sbin/sshd -D -e -p 2222 -o UsePAM=no -o PidFile=none -o PasswordAuthentication=no)
built_in=(plain)
port=2222
absent=(/usr/bin/perl /usr/bin/dpkg /usr/bin/ssh-keygen)

build() {
  mkdir -p "$1/run/sshd" "$1/client"
  chroot "$1" useradd --create-home --shell /bin/sh --password '*' --uid 1500 guest
  chroot "$1" ssh-keygen -q -t ed25519 -N '' -C client -f /client/key
  install -d -m 700 "$1/home/guest/.ssh"
  install -m 600 "$1/client/key.pub" "$1/home/guest/.ssh/authorized_keys"
  put "$1" /home/guest/greeting.txt 644 <<<'hello'
  chroot "$1" chown -R guest:guest /home/guest
}

# The client is this machine's; its key lies in the case's tree.
exercise() {
  local key=$directory/key
  tar --extract --to-stdout --file "$(case_rootfs "$(basename "${directory%/*}")")" ./client/key >"$key"
  chmod 600 "$key"
  # The server's shell expands nothing of it here.
  inside ssh -i "$key" -p 2222 -F none -o BatchMode=yes -o StrictHostKeyChecking=no \
    -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR guest@127.0.0.1 'id -un; cat greeting.txt' 2>&1
}
