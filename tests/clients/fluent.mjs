// Sends a record in each mode of Fluentd's forward protocol, with the shared key of `fluent.mjs ADDRESS
// KEY`, and waits until each is acknowledged.

import { FluentClient } from "@fluent-org/logger";

const [address, sharedKey] = process.argv.slice(2);
const [host, port] = address.split(":");
for (const eventMode of ["Message", "Forward", "PackedForward", "CompressedPackedForward"]) {
  const client = new FluentClient("clients", {
    eventMode,
    socket: { host, port: Number(port), timeout: 10_000 },
    ack: { ackTimeout: 10_000 },
    security: { clientHostname: "there", sharedKey },
  });
  const sent = client.emit("x", { message: `by ${eventMode}`, app: "clients" });
  setTimeout(() => client.flush().catch(() => {}), 50);
  await sent;
  await client.disconnect();
  console.log(`${eventMode} acknowledged`);
}
process.exit(0);
