# shellcheck shell=bash disable=SC2034,SC2154
# Apache with a process for each connection: the pages are opened by workers that have given up root, never by the master.

packages=(apache2)
entrypoint=(/entrypoint.sh)
built_in=(plain rootless)
absent=(/usr/bin/perl /usr/bin/dpkg /srv/www/unused.html /usr/lib/apache2/modules/mod_ssl.so)
user=33:33 # www-data in every Debian
writable=(/run /var/log/apache2)

build() {
  local tree=$1 modules=$1/etc/apache2/mods-enabled
  rm -f "$tree"/etc/apache2/sites-enabled/* "$modules"/mpm_*
  ln -s ../mods-available/mpm_prefork.{load,conf} ../mods-available/cgi.load "$modules/"
  put "$tree" /entrypoint.sh 755 <<'END'
#!/bin/sh
set -e
. /etc/apache2/envvars
mkdir -p /run/apache2 /run/lock/apache2
exec apache2 -D FOREGROUND
END
  echo 'Listen 8080' | put "$tree" /etc/apache2/ports.conf
  put "$tree" /etc/apache2/sites-enabled/site.conf <<'END'
ServerName localhost
<VirtualHost *:8080>
    DocumentRoot /srv/www
    ScriptAlias /cgi/ /srv/cgi/
    <Directory /srv>
        AllowOverride All
        Require all granted
    </Directory>
</VirtualHost>
END
  put "$tree" /srv/www/index.html <<<'<!doctype html><title>by a worker</title>'
  put "$tree" /srv/www/unused.html <<<'never asked for'
  put "$tree" /srv/www/.htaccess <<<'AddType text/x-numbers .numbers'
  seq 2000 | put "$tree" /srv/www/some.numbers
  put "$tree" /srv/cgi/answer 755 <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
cat data.txt
id -u
END
  put "$tree" /srv/cgi/data.txt <<<'read by what a worker executes'
  chown -R 33:33 "$tree/srv"
  chmod -R o= "$tree/srv/www"
}

exercise() {
  fetch /
  fetch /some.numbers | sha256sum
  fetch /missing
  fetch /cgi/answer
}
