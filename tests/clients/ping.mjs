// The server of the founding documents: /ping counts, /metrics tells. Prints its port.
import { createServer } from "node:http";
import { Counter, register } from "prom-client";

const pings = new Counter({ name: "ping_request_count", help: "No of request handled by Ping handler" });

const server = createServer(async (request, response) => {
  if (request.url === "/ping") {
    pings.inc();
    return response.end("pong");
  }
  response.setHeader("Content-Type", register.contentType);
  response.end(await register.metrics());
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
// The test closes standard input when it ends.
process.stdin.on("end", () => process.exit(0)).resume();
