# shellcheck shell=bash disable=SC2034,SC2154
# A Node.js service with a module of its own that is required on request.
packages=(nodejs)
entrypoint=(/usr/bin/node /app/server.js)
changes=('WORKDIR /app' 'EXPOSE 8080')
requests=('GET / 200' 'GET /zip 200')

build() {
  put "$1" /app/server.js <<'END'
const http = require("http");
process.on("SIGTERM", () => process.exit(0));
http.createServer((request, response) => {
  const answer = request.url === "/zip" ? require("./zip")("micro") : require("crypto").randomUUID();
  response.end(answer);
}).listen(8080);
END
  put "$1" /app/zip.js <<<'module.exports = text => require("zlib").gzipSync(text).toString("base64");'
}
