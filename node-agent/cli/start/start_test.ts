/** `kedge start` as a process, with stub programs. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { eventually } from "../../../tests/helpers/eventually.ts";
import { run } from "../testdata/fake_context.ts";

Deno.test("kedge start names what is wrong with its options", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-start-" });
  try {
    const table: [string[], RegExp][] = [
      [["--listen", "nowhere"], /--listen must be HOST:PORT/],
      [["--replicas", "0"], /--replicas must be/],
      [["--level", "D"], /--level must be A or B or C/],
      [["--tls-cert", "x", "--listen", "127.0.0.1:0"], /belong together/],
      [["--listen", "0.0.0.0:0", "--access", "open"], /loopback/],
    ];
    for (const [flags, message] of table) {
      const { code, err } = await run(["start", "--data", dir, ...flags]);
      assert.equal(code, 2, flags.join(" "));
      assert.match(err, message);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** Run `kedge start` with stub programs. */
function startStubs(dir: string, ...flags: string[]): Deno.ChildProcess {
  return startStubsWith({}, dir, ...flags);
}

function startStubsWith(
  env: Record<string, string>,
  dir: string,
  ...flags: string[]
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet"],
      fileURLToPath(new URL("testdata/stub_start.ts", import.meta.url)),
      ...["--data", dir, ...flags],
    ],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
}

/** What `running.json` says, or nothing. */
async function running(dir: string): Promise<
  { tracker_pid: number; agents: { pid: number; node: number; url: string }[] }
> {
  return JSON.parse(await Deno.readTextFile(`${dir}/running.json`));
}

function isAlive(pid: number): boolean {
  try {
    // A zombie has no command line.
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`) !== "";
  } catch {
    return false;
  }
}

Deno.test({
  name:
    "kedge start: ready, a killed agent returns, a killed supervisor leaves nothing, Ctrl-C neither",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "kedge-start-" });
    const children: Deno.ChildProcess[] = [];
    try {
      const first = startStubs(dir, "--listen", "127.0.0.1:0", "--json");
      children.push(first);
      const reader = first.stdout.pipeThrough(new TextDecoderStream())
        .getReader();
      const line = (await reader.read()).value ?? "";
      const ready = JSON.parse(line);
      assert.equal(line.trim().split("\n").length, 1);
      assert.deepEqual(
        ready.agents.map(({ node, group }: Record<string, unknown>) => [
          node,
          group,
        ]),
        [[1, "group1"], [2, "group1"]],
      );
      await reader.cancel();

      // A killed agent comes back at the same address.
      const victim = ready.agents[1];
      Deno.kill(victim.pid, "SIGKILL");
      await eventually(async () => {
        const { agents } = await running(dir);
        const again = agents.find(({ node }) => node === victim.node);
        return again !== undefined && again.pid > 0 &&
          again.pid !== victim.pid && again.url === victim.url &&
          await fetch(again.url).then((r) => r.body?.cancel()).then(() => true);
      }, { what: "the killed agent" });

      // A killed supervisor takes its programs along.
      const before = await running(dir);
      const pids = [before.tracker_pid, ...before.agents.map(({ pid }) => pid)];
      first.kill("SIGKILL");
      await first.status;
      await eventually(() => !pids.some(isAlive), { what: "their end" });

      // The next start has the same nodes; Ctrl-C leaves nothing.
      const second = startStubs(dir, "--json");
      children.push(second);
      const reader2 = second.stdout.pipeThrough(new TextDecoderStream())
        .getReader();
      const again = JSON.parse((await reader2.read()).value ?? "");
      await reader2.cancel();
      assert.equal(again.tracker, ready.tracker);
      assert.deepEqual(
        again.agents.map(({ url }: { url: string }) => url),
        ready.agents.map(({ url }: { url: string }) => url),
      );
      second.kill("SIGINT");
      assert.equal((await second.status).code, 0);
      assert(!again.agents.some(({ pid }: { pid: number }) => isAlive(pid)));
      assert(!isAlive(again.tracker_pid));
      await assert.rejects(Deno.stat(`${dir}/running.json`));
    } finally {
      for (const child of children) {
        try {
          child.kill("SIGKILL");
        } catch { /* it has ended */ }
        await child.status;
      }
      await Deno.remove(dir, { recursive: true }).catch(() => {});
    }
  },
});

/** What one `kedge start` printed when it was ready. */
interface Ready {
  readonly agents: readonly { readonly node: number; readonly url: string }[];
  readonly down?: readonly { readonly name: string; readonly why: string }[];
}

/** Start, wait until it is ready or ends, look, and stop it. */
async function onceReady(
  child: Deno.ChildProcess,
  look: (ready: Ready | undefined) => void = () => {},
): Promise<number> {
  try {
    const reader = child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    const { value } = await reader.read();
    await reader.cancel();
    look(value === undefined ? undefined : JSON.parse(value));
    child.kill("SIGINT");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // it had ended
  } finally {
    await child.status;
  }
  return (await child.status).code;
}

async function inFolder(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-start-" });
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const onLinux = { ignore: Deno.build.os !== "linux" };

Deno.test(
  "kedge start goes on without a node that cannot start",
  onLinux,
  async () => {
    await inFolder(async (dir) => {
      const flags = ["--listen", "127.0.0.1:0", "--json"];
      await onceReady(startStubs(dir, ...flags));
      await Deno.writeTextFile(`${dir}/node-1/agent.json`, "not JSON");
      await onceReady(startStubs(dir, ...flags), (ready) => {
        assert.deepEqual(ready?.agents.map(({ node }) => node), [2]);
        assert.equal(ready?.down?.[0]?.name, "node-1");
        assert.match(
          ready?.down?.[0]?.why ?? "",
          /node-1\/agent\.json is damaged/,
        );
      });
      // All of a group: nothing to go on with.
      await Deno.writeTextFile(`${dir}/node-2/agent.json`, "not JSON");
      const code = await onceReady(startStubs(dir, ...flags), (ready) => {
        assert.equal(ready, undefined);
      });
      assert.equal(code, 1);
    });
  },
);

Deno.test(
  "kedge start chooses another port for one that was taken meanwhile",
  onLinux,
  async () => {
    await inFolder(async (dir) => {
      const taken = `${dir}/taken`;
      const child = startStubsWith(
        { KEDGE_STUB_TAKEN: taken },
        ...[dir, "--listen", "127.0.0.1:0", "--json"] as const,
      );
      let port = 0;
      const listening = eventually(async () => {
        port = Number(await Deno.readTextFile(taken));
        return port > 0 && Deno.listen({ hostname: "127.0.0.1", port });
      }, { what: "the port" });
      await onceReady(child, (ready) => {
        const ports = ready?.agents.map(({ url }) => Number(new URL(url).port));
        assert.equal(ports?.length, 2);
        assert(!ports.includes(port));
      });
      (await listening).close();
    });
  },
);

Deno.test(
  "kedge start --replicas says how to replace a removed node",
  onLinux,
  async () => {
    await inFolder(async (dir) => {
      const flags = ["--listen", "127.0.0.1:0", "--json", "--replicas", "2"];
      await onceReady(startStubs(dir, ...flags));
      await Deno.writeTextFile(`${dir}/tracker/kv.db.stub`, "[2]");
      const code = await onceReady(startStubs(dir, ...flags), (ready) => {
        assert.equal(ready, undefined);
      });
      assert.equal(code, 1);
      await onceReady(startStubs(dir, ...flags.slice(0, 3)), (ready) => {
        assert.equal(ready?.agents.length, 1, "not asked for: it serves");
      });
      await Deno.remove(`${dir}/node-1`, { recursive: true });
      await onceReady(startStubs(dir, ...flags), (ready) => {
        assert.equal(ready?.agents.length, 2);
      });
    });
  },
);
