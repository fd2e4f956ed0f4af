import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { eventually } from "../../../tests/helpers/eventually.ts";
import { run } from "../testdata/fake_context.ts";
import { identityOf, provideToken } from "./joining.ts";
import { layoutOf } from "./layout.ts";
import { lockData } from "./lock.ts";
import { type ClusterPlan, draftPlan, type Wanted } from "./plan_core.ts";
import { Operator } from "./operator.ts";
import { choosePorts } from "./ports.ts";
import { tokenFile } from "./programs.ts";
import { missing } from "./readiness_core.ts";
import { restartDelayMs } from "./restart_core.ts";
import { Supervised } from "./supervisor.ts";
import type { Program, ProgramSpec } from "./program.ts";
import { groupView } from "../testdata/fake_cluster.ts";

const NOTHING: Wanted = {
  hostname: undefined,
  advertise: undefined,
  port: undefined,
  groups: undefined,
  replicas: undefined,
  tls: undefined,
};

const OLD: ClusterPlan = {
  version: 1,
  hostname: "127.0.0.1",
  advertise: "127.0.0.1",
  port: 9000,
  tracker: "http://127.0.0.1:9000",
  groups: 1,
  replicas: 2,
  tls: true,
  agents: [
    { index: 1, group: "group1", port: 9001, peerPort: 9003 },
    { index: 2, group: "group1", port: 9002, peerPort: 9004 },
  ],
};

Deno.test("restartDelayMs() doubles to five seconds and forgives a healthy run", () => {
  const delays: number[] = [];
  let delay: number | undefined;
  for (let death = 0; death < 8; death++) {
    delay = restartDelayMs(delay, 30);
    delays.push(delay);
  }
  assert.deepEqual(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  assert.equal(restartDelayMs(5000, 10_000), 100);
  assert.equal(restartDelayMs(5000, 9999), 5000);
});

Deno.test("draftPlan() begins with a group of two on 8080", () => {
  const drafted = draftPlan(undefined, NOTHING);
  assert(drafted.ok);
  const { agents, ...rest } = drafted.draft;
  assert.deepEqual(rest, {
    hostname: "127.0.0.1",
    advertise: undefined,
    groups: 1,
    replicas: 2,
    tls: false,
    port: 8080,
    isPortFree: false,
  });
  assert.deepEqual(agents.map(({ index, group }) => [index, group]), [
    [1, "group1"],
    [2, "group1"],
  ]);
});

Deno.test("draftPlan() continues, grows, and never shrinks", () => {
  const same = draftPlan(OLD, NOTHING);
  assert(same.ok);
  assert.deepEqual(same.draft.agents, OLD.agents);
  assert.equal(same.draft.tls, true);
  assert.equal(same.draft.port, 9000);

  const grown = draftPlan(OLD, { ...NOTHING, groups: 2, replicas: 3 });
  assert(grown.ok);
  assert.deepEqual(grown.draft.agents.slice(0, 2), OLD.agents);
  assert.deepEqual(
    grown.draft.agents.slice(2).map(({ index, group }) => [index, group]),
    [[3, "group1"], [4, "group2"], [5, "group2"], [6, "group2"]],
  );
  assert.equal(draftPlan(OLD, { ...NOTHING, replicas: 1 }).ok, false);
});

Deno.test("draftPlan() keeps the port of the last start when any will do", () => {
  const drafted = draftPlan(OLD, { ...NOTHING, port: 0 });
  assert(drafted.ok);
  assert.equal(drafted.draft.port, 9000);
  assert.equal(drafted.draft.isPortFree, true);
});

Deno.test("choosePorts() evades ports that are taken, but not the one asked for", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const drafted = draftPlan(undefined, { ...NOTHING, port });
  assert(drafted.ok);
  assert.throws(() => choosePorts(drafted.draft), /taken by another program/);

  const plan = choosePorts({
    ...drafted.draft,
    isPortFree: true,
    agents: [{ index: 1, group: "group1", port, peerPort: port }],
  });
  const [agent] = plan.agents;
  const ports = [plan.port, agent?.port, agent?.peerPort];
  assert.equal(new Set(ports).size, 3);
  assert(!ports.includes(port));
});

Deno.test("choosePorts() looks for peers' ports where peers listen", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const drafted = draftPlan(undefined, {
    ...NOTHING,
    hostname: "127.0.0.77",
    port: 0,
  });
  assert(drafted.ok);
  const agents = [
    { index: 1, group: "group1", port: undefined, peerPort: port },
  ];
  const [agent] = choosePorts({ ...drafted.draft, agents }).agents;
  assert.notEqual(agent?.peerPort, port);
});

Deno.test("missing() tells what a start still waits for", () => {
  const agents = [
    { index: 1, group: "group1", node: 1 },
    { index: 2, group: "group1", node: 2 },
  ];
  const good = groupView();
  const { register } = good;
  const [first, second] = good.nodes;
  assert(first !== undefined && second !== undefined);
  const table: [Parameters<typeof missing>, RegExp | undefined][] = [
    [[agents, [good]], undefined],
    [[agents, undefined], /tracker/],
    [[agents, []], /group1/],
    [
      [[{ ...agents[0], node: undefined, index: 1, group: "group1" }], [good]],
      /node-1/,
    ],
    [
      [agents, [{ ...good, register: { ...register, insync: [1] } }]],
      /node-2 is copying/,
    ],
    [
      [agents, [{ ...good, nodes: [first, { ...second, alive: false }] }]],
      /report of node-2/,
    ],
    [[agents, [{ ...good, writable: false }]], /takes uploads/],
  ];
  for (const [args, wanted] of table) {
    const line = missing(...args);
    if (wanted === undefined) assert.equal(line, undefined);
    else assert.match(line ?? "", wanted);
  }
});

Deno.test("lockData() lets one in and names it to the other", async () => {
  const path = await Deno.makeTempFile();
  try {
    const lock = lockData(path);
    assert.throws(() => lockData(path), new RegExp(`process ${Deno.pid}`));
    lock[Symbol.dispose]();
    lockData(path)[Symbol.dispose]();
  } finally {
    await Deno.remove(path);
  }
});

/** Wait until a condition holds. */
const until = (condition: () => boolean | Promise<boolean>) =>
  eventually(condition, { what: "the condition of this test" });

/** Programs that a test lets die. */
class FakePrograms {
  readonly started: { die: (how: string) => void; signals: string[] }[] = [];
  readonly said: string[] = [];
  readonly slept: number[] = [];
  /** Whether SIGTERM is obeyed. */
  isObedient = true;
  nowMs = 0;

  readonly ports = {
    start: (_spec: ProgramSpec): Program => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const signals: string[] = [];
      this.started.push({ die: resolve, signals });
      return {
        pid: this.started.length,
        ended: promise,
        kill: (signal) => {
          signals.push(signal);
          if (this.isObedient || signal === "SIGKILL") resolve(signal);
        },
      };
    },
    say: (line: string) => void this.said.push(line),
    nowMs: () => this.nowMs,
    sleep: (ms: number) => {
      this.slept.push(ms);
      return Promise.resolve();
    },
  };
}

const SPEC: ProgramSpec = { name: "x", args: [], env: {}, logFile: "" };

Deno.test("Supervised starts a program again and says why", async () => {
  const programs = new FakePrograms();
  const one = new Supervised(
    "node-1",
    () => Promise.resolve(SPEC),
    programs.ports,
  );
  one.start();
  for (const death of [1, 2, 3]) {
    await until(() => programs.started.length === death);
    programs.started[death - 1]?.die("signal SIGKILL");
  }
  await until(() => programs.started.length === 4);
  assert.deepEqual(programs.slept, [100, 200, 400]);
  assert.equal(one.deaths, 3);
  assert.equal(one.pid, 4);
  assert.match(
    programs.said[0] ?? "",
    /node-1 died \(signal SIGKILL\).*100 ms/,
  );
  await one.stop();
  assert.equal(programs.started.length, 4, "a stop is not a death");
  assert.deepEqual(programs.started[3]?.signals, ["SIGTERM"]);
});

Deno.test("Supervised tries again when preparing fails", async () => {
  const programs = new FakePrograms();
  let tries = 0;
  const one = new Supervised("node-1", () => {
    return ++tries < 3
      ? Promise.reject(new Error("no token"))
      : Promise.resolve(SPEC);
  }, programs.ports);
  one.start();
  await until(() => programs.started.length === 1);
  assert.match(programs.said[0] ?? "", /no token/);
  await one.stop();
});

Deno.test("Supervised kills a program that does not stop", async () => {
  const programs = new FakePrograms();
  programs.isObedient = false;
  const one = new Supervised(
    "node-1",
    () => Promise.resolve(SPEC),
    programs.ports,
  );
  one.start();
  await until(() => programs.started.length === 1);
  await one.stop(10);
  assert.deepEqual(programs.started[0]?.signals, ["SIGTERM", "SIGKILL"]);
  assert.match(programs.said[0] ?? "", /does not stop/);
});

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
      await until(async () => {
        const { agents } = await running(dir);
        const again = agents.find(({ node }) => node === victim.node);
        return again !== undefined && again.pid > 0 &&
          again.pid !== victim.pid && again.url === victim.url &&
          await fetch(again.url).then((r) => r.body?.cancel()).then(() => true);
      });

      // A killed supervisor takes its programs along.
      const before = await running(dir);
      const pids = [before.tracker_pid, ...before.agents.map(({ pid }) => pid)];
      first.kill("SIGKILL");
      await first.status;
      await until(() => !pids.some(isAlive));

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

Deno.test("provideToken() uses a token again: a repeated join is the same join", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-start-" });
  try {
    const layout = layoutOf(dir);
    const agent = { index: 1, group: "group1", port: 1, peerPort: 2 };
    await Deno.mkdir(layout.node(1));
    let made = 0;
    const operator = new Operator(
      () =>
        Promise.resolve(Response.json({
          kind: "join",
          token: `token-${++made}`,
          hash: "00",
          expires: null,
        })),
      "http://tracker.test",
      "key",
    );
    await provideToken(layout, agent, operator);
    // The agent begins its file before it joins, and dies.
    await Deno.writeTextFile(
      `${layout.node(1)}/agent.json`,
      '{"firstStore":"x"}',
    );
    assert.equal(await identityOf(layout, agent), undefined);
    await provideToken(layout, agent, operator);
    assert.equal(made, 1);
    const path = tokenFile(layout, agent);
    assert.equal(await Deno.readTextFile(path), "token-1\n");
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);

    await Deno.writeTextFile(
      `${layout.node(1)}/agent.json`,
      '{"firstStore":"x","identity":{"node":7}}',
    );
    assert.equal(await identityOf(layout, agent), 7);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
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
