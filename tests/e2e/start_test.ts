/**
 * `kedge start`, as the README promises it: one line when ready, children that
 * come back, a second start that continues, an end that leaves nothing.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFile, readStatus } from "../helpers/api.ts";
import { Child, run } from "../helpers/child.ts";
import { eventually, within } from "../helpers/eventually.ts";
import { isRunning } from "../helpers/proc.ts";
import { markedProcesses, Scope } from "../helpers/scope.ts";
import {
  loopbackAddress,
  type Ready,
  startCommand,
  startStack,
} from "../helpers/stack.ts";

const text = (words: string) => new TextEncoder().encode(words);

// 12 s
Deno.test("start, use, stop, start again, stop: nothing is lost or left", async () => {
  await using scope = new Scope();
  const data = `${await scope.tempDir()}/kedge-data`;
  const first = await startStack(scope, { data });
  assertShape(first.ready, { groups: 1, replicas: 2 });
  assert.equal(first.child.out.length, 1, "exactly one line on stdout");

  const body = text("a photo");
  const { id } = await first.api.upload(body, { name: "photo.jpg" });
  for (const { url } of first.ready.agents) {
    assert.deepEqual(await readFile(url, id), body);
  }

  const rival = Child.start(scope, {
    command: startCommand([
      ...["--json", "--data", data, "--listen", `${loopbackAddress()}:0`],
    ]),
  });
  const { code } = await within(rival.status, { what: "the rival's refusal" });
  assert.notEqual(code, 0, "two at once on one directory are refused");
  assert.match(rival.text, /already|in use|running|lock/i);
  assert.deepEqual(await readFile(first.ready.tracker, id), body);

  await stopAndExpectNothing(scope, first.child);

  const again = Child.start(scope, {
    command: startCommand(["--json", "--data", data]),
  });
  const ready = JSON.parse(await again.line(/"ready":true/, 40_000)) as Ready;
  assert.equal(ready.tracker, first.ready.tracker, "same address as last time");
  assert.deepEqual(
    ready.agents.map(({ node, group, url }) => ({ node, group, url })),
    first.ready.agents.map(({ node, group, url }) => ({ node, group, url })),
  );
  for (const { url } of ready.agents) {
    assert.deepEqual(await readFile(url, id), body);
  }
  await stopAndExpectNothing(scope, again);
});

// 10 s
Deno.test("a child that is killed is started again, and said so", async () => {
  await using scope = new Scope();
  const { child, ready, data, api } = await startStack(scope);
  const body = text("stays");
  const { id } = await api.upload(body);
  const victims = [
    ...ready.agents.map(({ pid }) => pid),
    ready.tracker_pid,
  ];
  for (const pid of victims) {
    Deno.kill(pid, "SIGKILL");
    await eventually(async () => {
      const running = await Deno.readTextFile(`${data}/running.json`);
      return !running.includes(String(pid)) && running.includes("pid");
    }, { what: `process ${pid} to be replaced` });
    for (const { url } of ready.agents) {
      await eventually(async () => await readStatus(url, id) === 200, {
        what: `${url} to serve the file`,
      });
    }
    await eventually(() => api.upload(text(`after ${pid}`)), {
      what: "an upload after the kill",
    });
  }
  assert(
    child.err.filter((line) => /died/.test(line)).length >= victims.length,
    `it says what died:\n${child.text}`,
  );
  await stopAndExpectNothing(scope, child);
});

// 15 s
Deno.test("--groups and --replicas scale it", async () => {
  await using scope = new Scope();
  const { child, ready, api } = await startStack(scope, {
    flags: ["--groups", "2", "--replicas", "3"],
  });
  assertShape(ready, { groups: 2, replicas: 3 });
  for (const group of ["group1", "group2"]) {
    const placed = await api.place({ group });
    const { id } = await api.put(placed, text(group), { level: "C" });
    assert.match(id, new RegExp(`^${group}/M00/`));
    const members = ready.agents.filter((agent) => agent.group === group);
    for (const { url } of members) {
      assert.deepEqual(await readFile(url, id), text(group));
    }
  }
  await stopAndExpectNothing(scope, child);
});

// 5 s
Deno.test("--tls serves HTTPS with an authority of its own", async () => {
  await using scope = new Scope();
  const dir = await scope.tempDir();
  const { child, ready, data } = await startStack(scope, {
    data: `${dir}/kedge-data`,
    flags: ["--tls"],
  });
  const ca = await authorityIn(`${data}/tls`);
  const curl = async (...words: string[]) => {
    const { code, stdout, stderr } = await run([
      ...["curl", "-sSfL", "--cacert", ca] as const,
      ...words,
    ]);
    assert.equal(code, 0, `curl ${words.join(" ")}: ${stderr}`);
    return stdout;
  };
  await Deno.writeTextFile(`${dir}/note.txt`, "over TLS");
  assert.match(ready.tracker, /^https:/);
  const answer = await curl(
    ...["-T", `${dir}/note.txt`, `${ready.tracker}/v1/files/note.txt`],
  );
  const { id } = JSON.parse(answer) as { id: string };
  for (const { url } of ready.agents) {
    assert.match(url, /^https:/);
    assert.equal(await curl(`${url}/${id}`), "over TLS");
  }
  const plain = await run([
    "curl",
    "-sS",
    "-m",
    "5",
    `${ready.tracker}/health`,
  ]);
  assert.notEqual(plain.code, 0, "an unknown authority is not trusted");
  await stopAndExpectNothing(scope, child);
});

// 8 s
Deno.test("people get lines to paste, and no orphans when it is killed", async () => {
  await using scope = new Scope();
  const data = `${await scope.tempDir()}/kedge-data`;
  const listen = `${loopbackAddress()}:0`;
  const child = Child.start(scope, {
    command: startCommand(["--data", data, "--listen", listen]),
  });
  await child.line(/ready/, 40_000);
  await child.line(/curl .*-T /);
  await child.line(/Ctrl-C/);
  const grandchildren = markedProcesses(scope.mark)
    .filter((pid) => pid !== child.pid);
  assert(grandchildren.length >= 3);
  await child.kill();
  await eventually(() => !grandchildren.some(isRunning), {
    what: "the children of a killed supervisor to end",
  });
});

function assertShape(
  ready: Ready,
  { groups, replicas }: { groups: number; replicas: number },
): void {
  assert.equal(ready.ready, true);
  assert.match(ready.tracker, /^http:\/\/127\.[\d.]+:\d+$/);
  assert(Number.isInteger(ready.tracker_pid) && isRunning(ready.tracker_pid));
  assert.equal(ready.agents.length, groups * replicas);
  for (const agent of ready.agents) {
    assert(Number.isInteger(agent.node) && agent.node >= 1);
    assert.match(agent.group, /^group\d+$/);
    assert.match(agent.url, /^http:\/\/127\.[\d.]+:\d+$/);
    assert(isRunning(agent.pid));
  }
  const nodes = new Set(ready.agents.map(({ node }) => node));
  assert.equal(nodes.size, groups * replicas, "numbers are unique");
}

/** The certificate of the authority that `--tls` made. */
async function authorityIn(dir: string): Promise<string> {
  for await (const { name } of Deno.readDir(dir)) {
    if (/ca.*\.(pem|crt)$/.test(name)) return `${dir}/${name}`;
  }
  return assert.fail(`no authority in ${dir}`);
}

async function stopAndExpectNothing(
  scope: Scope,
  child: Child,
): Promise<void> {
  const status = await child.stop("SIGINT");
  assert.equal(status.code, 0, child.text);
  await eventually(() => markedProcesses(scope.mark).length === 0, {
    what: "every process to be gone after Ctrl-C",
  });
}
