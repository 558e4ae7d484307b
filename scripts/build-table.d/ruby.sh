# shellcheck shell=bash disable=SC2034,SC2154
# A Ruby service on a socket, with JSON and digests on request.
packages=(ruby)
entrypoint=(/usr/bin/ruby /app/server.rb)
changes=('EXPOSE 8080')
requests=('GET /json 200' 'GET /digest 200')

build() {
  put "$1" /app/server.rb <<'END'
require "socket"
trap("TERM") { exit 0 }
server = TCPServer.new("0.0.0.0", 8080)
loop do
  client = server.accept
  path = client.gets.to_s.split[1]
  nil while (line = client.gets) && line.strip != ""
  body = path == "/json" ? (require "json"; { "time" => Time.now.to_i }.to_json) : (require "digest"; Digest::SHA256.hexdigest("micro"))
  client.write "HTTP/1.1 200 OK\r\nContent-Length: #{body.bytesize}\r\nConnection: close\r\n\r\n#{body}"
  client.close
end
END
}
