# shellcheck shell=bash disable=SC2034,SC2154
# A Python service that imports what a request needs when it comes.
packages=(python3)
entrypoint=(/usr/bin/python3 /app/server.py)
changes=('WORKDIR /app' 'EXPOSE 8080' 'USER 1000:1000')
requests=('GET /digest 200' 'GET /database 200' 'GET /other 404')

build() {
  put "$1" /app/server.py <<'END'
import http.server, signal, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/digest":
            import hashlib
            body = hashlib.sha256(b"micro").hexdigest()
        elif self.path == "/database":
            import sqlite3
            body = str(sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()[0])
        else:
            return self.send_error(404)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.HTTPServer(("", 8080), Handler).serve_forever()
END
}
