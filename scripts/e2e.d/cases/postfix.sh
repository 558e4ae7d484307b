# shellcheck shell=bash disable=SC2034,SC2154
# A mail from sendmail to a local mailbox: seven programs under three users, set-group-ID helpers, a daemon whose real and effective user differ.

packages=(postfix)
entrypoint=(/deliver.sh)
built_in=(plain)
port=none
writable=(/var/spool/postfix /var/lib/postfix /var/mail /var/log)
ends=itself
absent=(/usr/bin/perl /usr/bin/dpkg)

build() {
  local tree=$1
  put "$tree" /etc/postfix/main.cf <<'END'
compatibility_level = 3.6
myhostname = mail.example.test
mydestination = localhost, mail.example.test
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
alias_maps =
alias_database =
maillog_file = /var/log/postfix.log
END
  chroot "$tree" useradd --create-home --shell /bin/sh reader
  put "$tree" /deliver.sh 755 <<'END'
#!/bin/sh
set -e
# Where a fresh file system covers it.
chown postfix /var/lib/postfix
postfix start 2>/dev/null
printf 'Subject: greeting\n\nhello\n' | sendmail -i -f root@localhost reader@localhost
mailbox=/var/mail/reader tries=0
until [ -s "$mailbox" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || { cat /var/log/postfix.log; exit 1; }
    sleep 0.1
done
stat -c '%U %a' "$mailbox"
grep -E '^(Subject|Delivered-To|hello|From: )' "$mailbox"
postfix stop 2>/dev/null
END
}

exercise() { :; }
