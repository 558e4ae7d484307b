# shellcheck shell=bash disable=SC2034,SC2154
# A job by busybox's shell, one binary under many names, that ends by itself with a status of its own.

packages=(busybox)
entrypoint=(/job.sh first 'second argument')
built_in=(plain)
changes=('ENV JOB=count')
port=none
ends=itself
user=1000:1000
capless=yes
status=7
absent=(/bin/bash /usr/bin/bash /usr/bin/dpkg /elsewhere/unused.txt)

build() {
  local applet
  mkdir -p "$1/bb"
  for applet in sh wc sort cat; do ln -s /bin/busybox "$1/bb/$applet"; done
  put "$1" /job.sh 755 <<'END'
#!/bb/sh
PATH=/bb
echo "$JOB: $# arguments, last: $2"
for file in /data/[a-c]*.txt; do
    wc -l "$file"
done
cat /data/a.txt | sort -r
if [ -e /data/marker ]; then echo marked; fi
[ -d /data/missing ] || exit 7
END
  printf '%s\n' 1 2 3 | put "$1" /data/a.txt
  printf '%s\n' x y | put "$1" /data/b.txt
  put "$1" /data/marker </dev/null
  put "$1" /elsewhere/unused.txt <<<'never read'
}

exercise() { :; }
