import assert from "node:assert/strict";
import { allowedHosts } from "@kedge/schema/config/allow-hosts";
import { within } from "../tests/helpers/eventually.ts";
import { TcpTransport } from "./adapters/tcp_transport.ts";
import { isCallerGone } from "./callers.ts";
import { WireDoor } from "./fastdfs/wire_door.ts";

const LOCAL = { hostname: "127.0.0.1", port: 0 };

/**
 * Many connect and reset. By a program of its own, for which we wait with all
 * else: nobody is taken in meanwhile.
 */
function comeAndGo(port: number, count: number): void {
  const script = `
    import { connect } from "node:net";
    for (let left = ${count}; left > 0; left--) {
      await new Promise((resolve) => {
        const socket = connect(${port}, "127.0.0.1", () => {
          socket.resetAndDestroy();
          resolve();
        });
      });
    }`;
  const args = ["eval", script];
  const { success } = new Deno.Command(Deno.execPath(), { args }).outputSync();
  assert(success);
}

Deno.test("a caller that reset its connection is told from other failures", async () => {
  using listener = Deno.listen(LOCAL);
  comeAndGo(listener.addr.port, 1);
  const failure = await listener.accept().then(
    () => undefined,
    (error) => error,
  );
  assert(isCallerGone(failure), String(failure));
  assert(!isCallerGone(new Deno.errors.BadResource("closed")));
});

const PATIENCE = { idleMs: 60_000, windowMs: 15_000, bytesPerSecondMin: 1 };
const CLOCK = { monotonicMs: () => performance.now(), wallMs: () => 0 };
const LOG = { info: () => {}, warn: () => {} };
/** With a pause after each, a hundred would take far longer. */
const SOON = { what: "the one who stays", deadlineMs: 1500 };

Deno.test("callers who come and go keep nobody out of FastDFS's door", async () => {
  const door = new WireDoor({
    listen: LOCAL,
    hosts: allowedHosts(["127.0.0.1"]),
    connectionsMax: 1000,
    patience: PATIENCE,
    clock: CLOCK,
    log: LOG,
    handle: () => ({ status: 0 }),
  });
  try {
    const { port } = door.address;
    comeAndGo(port, 100);
    using caller = await Deno.connect({ ...LOCAL, port });
    await caller.write(new Uint8Array(10));
    await within(caller.read(new Uint8Array(10)), SOON);
  } finally {
    await door.close();
  }
});

Deno.test("callers who come and go keep no peer out", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const peers: { close(): void }[] = [];
  let stays = "";
  const listener = new TcpTransport().listen(LOCAL, (channel) => {
    peers.push(channel);
    if (channel.remote === stays) resolve();
  });
  try {
    const { port } = listener.address;
    comeAndGo(port, 100);
    using caller = await Deno.connect({ ...LOCAL, port });
    stays = `127.0.0.1:${caller.localAddr.port}`;
    if (peers.some((peer) => "remote" in peer && peer.remote === stays)) {
      resolve();
    }
    await within(promise, SOON);
  } finally {
    listener.close();
    for (const peer of peers) peer.close();
  }
});
