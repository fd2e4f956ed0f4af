import assert from "node:assert/strict";
import { CliError } from "./errors.ts";
import { MirrorClient, NoDaemonError } from "./mirror_client.ts";
import { run } from "./testdata/fake_context.ts";

/** A daemon that answers with what a test says. */
async function withDaemon(
  answer: (request: Request) => Response | Promise<Response>,
  play: (runDir: string) => Promise<void>,
): Promise<void> {
  const runDir = await Deno.makeTempDir({ prefix: "kedge-client-" });
  const server = Deno.serve({
    path: `${runDir}/mirror.sock`,
    transport: "unix",
    onListen() {},
  }, answer);
  try {
    await play(runDir);
  } finally {
    await server.shutdown();
    await Deno.remove(runDir, { recursive: true });
  }
}

const EMPTY = { version: "1", pid: 7, resources: [] };

Deno.test("the client asks, encodes names, and understands refusals", async () => {
  const seen: string[] = [];
  await withDaemon(async (request) => {
    const { pathname } = new URL(request.url);
    seen.push(`${request.method} ${pathname} ${await request.text()}`);
    if (request.method === "GET") return Response.json(EMPTY);
    if (request.method === "POST") return Response.json({ code: -2 });
    return Response.json({ detail: "disk on fire" }, { status: 500 });
  }, async (runDir) => {
    using client = new MirrorClient(runDir);
    assert.equal(await client.isRunning(), true);
    assert.deepEqual(await client.status(), EMPTY);
    const command = { kind: "secondary" } as const;
    assert.deepEqual(await client.command("a b", { command }), { code: -2 });
    await assert.rejects(client.remove("x"), /disk on fire/);
  });
  assert.deepEqual(seen, [
    "GET /v1/resources ",
    'POST /v1/resources/a%20b/commands {"command":{"kind":"secondary"}}',
    "DELETE /v1/resources/x ",
  ]);
});

Deno.test("events come line by line and end when nobody listens", async () => {
  const lines = [
    '{"kind":"ready"}',
    '{"atMs":1,"resource":"r","volume":0,"kind":"create"}',
  ];
  let isCancelled = false;
  await withDaemon(() =>
    new Response(
      new ReadableStream({
        start(controller) {
          for (const line of lines) {
            controller.enqueue(new TextEncoder().encode(`${line}\n`));
          }
        },
        cancel() {
          isCancelled = true;
        },
      }),
    ), async (runDir) => {
    using client = new MirrorClient(runDir);
    const stop = new AbortController();
    const kinds: string[] = [];
    for await (const event of client.events(stop.signal)) {
      kinds.push(event.kind);
      if (kinds.length === lines.length) stop.abort();
    }
    assert.deepEqual(kinds, ["ready", "create"]);
  });
  assert.equal(isCancelled, true);
});

Deno.test("no daemon: a clear error, and what to do", async () => {
  const runDir = await Deno.makeTempDir({ prefix: "kedge-client-" });
  try {
    using client = new MirrorClient(runDir);
    assert.equal(await client.isRunning(), false);
    await assert.rejects(client.status(), NoDaemonError);
    const { code, err } = await run(["proc-drbd", "--run-dir", runDir]);
    assert.equal(code, 4);
    assert.match(err, /no mirror daemon answers on .*mirror\.sock/);
    assert.match(err, /next: start it with "kedge mirror start"/);
    const overview = await run(["drbd-overview", "--run-dir", runDir]);
    assert.deepEqual([overview.code, overview.out], [1, "drbd not loaded\n"]);
  } finally {
    await Deno.remove(runDir, { recursive: true });
  }
});

Deno.test("a run folder that is too deep for a socket is refused", () => {
  assert.throws(() => new MirrorClient(`/${"x".repeat(100)}`), (error) => {
    assert(error instanceof CliError);
    assert.match(error.message, /too long/);
    assert.match(error.next ?? "", /--run-dir/);
    return true;
  });
});

/** A daemon that is frozen: the system takes connections, nobody answers. */
async function withFrozen(
  play: (runDir: string) => Promise<void>,
): Promise<void> {
  const runDir = await Deno.makeTempDir({ prefix: "kedge-client-" });
  const listener = Deno.listen({
    path: `${runDir}/mirror.sock`,
    transport: "unix",
  });
  try {
    await play(runDir);
  } finally {
    listener.close();
    await Deno.remove(runDir, { recursive: true });
  }
}

Deno.test("a daemon that is frozen is told of, and given up", () =>
  withFrozen(async (runDir) => {
    Deno.writeTextFileSync(`${runDir}/mirror.pid`, `${Deno.pid}\n`);
    const env = { KEDGE_PATIENCE: "600ms" };
    const runs: [string[], number][] = [
      [["proc-drbd"], 4],
      [["drbd-overview"], 4],
      [["mirror", "status"], 4],
      [["mirror", "stop"], 4],
      [["volume", "status"], 4],
      [["volume", "promote", "x"], 4],
      [["drbdadm", "status"], 20],
    ];
    await Promise.all(runs.map(async ([words, exit]) => {
      const { code, out, err } = await run(
        [...words, "--run-dir", runDir],
        { env },
      );
      assert.equal(code, exit, words.join(" ") + err);
      assert.equal(out, "");
      const who = `the mirror daemon \\(process ${Deno.pid}\\)`;
      assert.match(err, new RegExp(`^waiting for ${who}, which does not`, "m"));
      assert.match(err, new RegExp(`${who} has not answered for 0.6 s`));
      assert.match(err, /next: "kedge mirror status" tries again.*mirror\.log/);
    }));
    const wrong = await run(["proc-drbd", "--run-dir", runDir], {
      env: { KEDGE_PATIENCE: "soon" },
    });
    assert.deepEqual([wrong.code, wrong.out], [2, ""]);
  }));

Deno.test("a command that takes its time is waited for while the daemon lives", async () => {
  const work = Promise.withResolvers<void>();
  let signs = 0;
  await withDaemon(async (request) => {
    if (request.url.endsWith("/alive")) {
      if (++signs === 3) work.resolve();
      return Response.json({});
    }
    await work.promise;
    return Response.json(EMPTY);
  }, async (runDir) => {
    const env = { KEDGE_PATIENCE: "100ms" };
    const err = { line: (text: string) => assert.fail(text) };
    using client = new MirrorClient(runDir, {
      env,
      err: { ...err, write() {}, bytes: async () => {}, columns: undefined },
    });
    assert.deepEqual((await client.status()).resources, []);
  });
  assert.equal(signs >= 3, true);
});

Deno.test("a run folder that others may write is refused", async () => {
  await withDaemon(() => Response.json(EMPTY), (runDir) => {
    new MirrorClient(runDir)[Symbol.dispose]();
    Deno.chmodSync(runDir, 0o777);
    assert.throws(() => new MirrorClient(runDir), /chmod go-w|by others/);
    return Promise.resolve();
  });
});
