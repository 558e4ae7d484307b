# shellcheck shell=bash disable=SC2034,SC2154
# A python service that imports what a request needs when it comes, and lists a directory of its own.

packages=(python3)
entrypoint=(/usr/bin/python3 /app/server.py)
built_in=(plain)
changes=('WORKDIR /app' 'ENV GREETING=hello')
user=1000:1000
capless=yes
absent=(/bin/sh /usr/bin/sh /usr/bin/dpkg /app/unused.py /usr/lib/python3.11/turtle.py)

build() {
  local language
  put "$1" /app/server.py <<'END'
import http.server
import os
import signal
import sys


def digest():
    import hashlib
    return hashlib.sha256(b"micro").hexdigest()


def xml():
    import xml.etree.ElementTree as tree
    return tree.fromstring("<a><b>text</b></a>").find("b").text


def database():
    import sqlite3
    return str(sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()[0])


def zone():
    import datetime
    import zoneinfo
    when = datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    return when.isoformat()


def locales():
    return " ".join(sorted(os.listdir("/app/locales")))


def greeting():
    with open("locales/%s.txt" % os.environ.get("LANGUAGE", "en")) as file:
        return os.environ["GREETING"] + " " + file.read()


def idna():
    return "bücher".encode("idna").decode()


def package():
    import greeter
    return greeter.WORD


PAGES = {f.__name__: f for f in (digest, xml, database, zone, locales, greeting, idna, package)}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = PAGES.get(self.path[1:])
        body = (page() if page else "no such page").encode()
        self.send_response(200 if page else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
END
  put "$1" /app/unused.py <<<'raise SystemExit("never imported")'
  # As pip installs it; nobody reads its metadata, but scanners do.
  local modules=/usr/local/lib/python3.11/dist-packages
  put "$1" "$modules/greeter.py" <<<'WORD = "hello"'
  printf 'Metadata-Version: 2.1\nName: greeter\nVersion: 1.2\nLicense: MIT\n\nGreets.\n' | put "$1" "$modules/greeter-1.2.dist-info/METADATA"
  put "$1" "$modules/greeter-1.2.dist-info/RECORD" <<<'greeter.py,,'
  for language in de en fr ja; do
    put "$1" "/app/locales/$language.txt" <<<"in $language"
  done
}

exercise() {
  local page
  for page in digest xml database zone locales greeting idna package nothing; do
    fetch "/$page"
    echo
  done
}
