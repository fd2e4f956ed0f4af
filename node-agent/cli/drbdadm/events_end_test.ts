import assert from "node:assert/strict";
import { pause } from "../../mirror/pause.ts";
import { runCommand } from "../command.ts";
import { COMMANDS } from "../registry.ts";
import { fakeContext } from "../testdata/fake_context.ts";

const CONF = `
resource r {
  device /dev/drbd1; disk /nowhere/disk; meta-disk internal;
  on a { address 127.0.0.1:7789; }
  on b { address 127.0.0.2:7789; }
}`;

const STATUS = {
  version: "1",
  pid: 7,
  resources: [{
    resource: "r",
    node: "a",
    peerNode: "b",
    local: "127.0.0.1:7789",
    remote: "127.0.0.2:7789",
    exports: [],
    pending: [],
    volumes: [],
  }],
};

Deno.test("events2 of a daemon that ends tell that, and end", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-events-" });
  const socket = `${dir}/mirror.sock`;
  let ended: Promise<void> | undefined;
  const isShown = Promise.withResolvers<void>();
  const events = new ReadableStream<string>({
    async start(controller) {
      controller.enqueue('{"kind":"ready"}\n');
      await isShown.promise;
      ended = server.shutdown(); // it answers nobody any more
      await Deno.remove(socket).catch(() => {});
      const destroyed = { atMs: 1, resource: "r", volume: 0, kind: "destroy" };
      controller.enqueue(`${JSON.stringify(destroyed)}\n`);
      controller.close();
    },
  }).pipeThrough(new TextEncoderStream());
  const server = Deno.serve(
    { path: socket, transport: "unix", onListen() {} },
    (request) => {
      if (request.url.endsWith("/events")) return new Response(events);
      isShown.resolve();
      return Response.json(STATUS);
    },
  );
  try {
    await Deno.writeTextFile(`${dir}/drbd.conf`, CONF);
    const words = ["drbdadm", "-c", `${dir}/drbd.conf`, "events2", "r"];
    const env = { KEDGE_RUN_DIR: dir, KEDGE_HOST: "a" };
    const { context, printed } = fakeContext({ env });
    const code = await runCommand(COMMANDS, words, {
      ...context,
      sleep: pause,
    });
    assert.equal(printed.err(), "");
    assert.match(printed.out(), /exists resource name:r .*\n/);
    assert.match(printed.out(), /destroy resource name:r\n$/);
    assert.equal(code, 0);
  } finally {
    await (ended ?? server.shutdown());
    await Deno.remove(dir, { recursive: true });
  }
});
