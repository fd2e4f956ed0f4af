import assert from "node:assert/strict";
import { serveControl } from "./control_server.ts";
import { MirrorHost } from "./mirror_host.ts";

async function withDoor(
  test: (door: {
    readonly host: MirrorHost;
    readonly ask: (path: string, init?: RequestInit) => Promise<Response>;
    readonly close: () => Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  const runDir = await Deno.makeTempDir({ prefix: "kedge-door-" });
  const path = `${runDir}/mirror.sock`;
  const host = new MirrorHost({
    runDir,
    version: "0",
    workerEntry: new URL("data:text/javascript,"),
    log: { info: () => {}, warn: () => {} },
    deviceNodes: undefined,
    registers: undefined,
  });
  const control = await serveControl(host, path, 50);
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  try {
    await test({
      host,
      ask: (way, init) =>
        fetch(`http://localhost/v1/${way}`, { ...init, client }),
      close: () => control.close(),
    });
  } finally {
    client.close();
    await Deno.remove(runDir, { recursive: true });
  }
}

Deno.test("a daemon ends although somebody follows its events", async () => {
  await withDoor(async ({ ask, close }) => {
    const reader = (await ask("events")).body?.getReader();
    assert.notEqual(reader, undefined);
    await reader?.read(); // ready
    await close();
    assert.equal((await reader?.read())?.done, true);
  });
});

Deno.test("a daemon ends although a command does not", async () => {
  await withDoor(async ({ host, ask, close }) => {
    const begun = Promise.withResolvers<void>();
    host.reconnect = () => {
      begun.resolve();
      return new Promise(() => {});
    };
    const answer = ask("resources/r/reconnect", { method: "POST" });
    answer.catch(() => {});
    await begun.promise;
    await close();
    assert.equal((await answer).status, 503);
  });
});
