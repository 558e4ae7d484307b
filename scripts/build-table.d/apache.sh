# shellcheck shell=bash disable=SC2034,SC2154
# Apache: prefork workers that give up root, a directory listing, a module that is loaded by name.
packages=(apache2)
entrypoint=(/usr/sbin/apache2 -D FOREGROUND)
changes=('EXPOSE 8080' 'ENV APACHE_RUN_USER=www-data' 'ENV APACHE_RUN_GROUP=www-data' 'ENV APACHE_PID_FILE=/run/apache2.pid'
  'ENV APACHE_RUN_DIR=/run' 'ENV APACHE_LOCK_DIR=/run/lock' 'ENV APACHE_LOG_DIR=/var/log/apache2' 'STOPSIGNAL SIGWINCH')
requests=('GET /page.html 200' 'GET /listing/ 200' 'GET /missing 404')

build() {
  echo 'Listen 8080' | put "$1" /etc/apache2/ports.conf
  put "$1" /var/www/html/page.html <<<'a page'
  put "$1" /var/www/html/listing/file.txt <<<'a file'
}
