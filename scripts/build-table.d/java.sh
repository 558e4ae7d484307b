# shellcheck shell=bash disable=SC2034,SC2154
# A Java service that is compiled when it starts.
packages=(openjdk-17-jdk-headless)
entrypoint=(/usr/bin/java -Xshare:off /app/Server.java)
changes=('EXPOSE 8080')
requests=('GET / 200')
options=(--ready-timeout 180)

build() {
  put "$1" /app/Server.java <<'END'
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
public class Server {
    public static void main(String[] arguments) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", exchange -> {
            byte[] body = java.util.UUID.randomUUID().toString().getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }
}
END
}
