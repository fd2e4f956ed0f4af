/**
 * Processes that stand still (S08), disks that are slow (S43), ends that are
 * polite (S10): nobody acknowledges under an old epoch, nobody is thrown out for
 * a slow disk alone.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Uploaded } from "@kedge/schema";
import { readFile, Refused, sha256 } from "../helpers/api.ts";
import {
  type Acknowledged,
  duplicates,
  expectAllReadable,
  untilSame,
} from "../helpers/census.ts";
import { Child, isInstalled } from "../helpers/child.ts";
import { Cluster } from "../helpers/cluster.ts";
import { eventually, pause } from "../helpers/eventually.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { RawHttp } from "../helpers/raw_http.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

// 25 s
Deno.test("S08: a source that freezes in an upload", async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const body = new Random(seedOfRun("S08")).bytes(400_000);
  const key = crypto.randomUUID();
  const placed = await api.placeAt(a.node);
  const atPeer = await api.placeAt(b.node);
  const epoch = await cluster.epoch();

  using raw = await RawHttp.open(a.url);
  const { pathname, search, host } = new URL(placed.url);
  await raw.send(
    `PUT ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\n` +
      `content-length: ${body.length}\r\nx-kedge-level: C\r\n` +
      `idempotency-key: ${key}\r\n\r\n`,
  );
  await raw.send(body.subarray(0, 200_000));
  await pause(200);
  a.pause();
  // The peer goes on alone: the register moves while the source stands still.
  await eventually(
    () => api.put(atPeer, new Uint8Array([1]), { level: "C" }),
    { what: "an upload at the peer while the source stands still" },
  );
  assert(await cluster.epoch() > epoch, "the frozen source was shrunk");
  await pause(2_000);
  a.resume();
  await raw.send(body.subarray(200_000));
  const answer = await raw.answer("body").catch(() => undefined);
  if (answer?.status === 201) {
    const { holders } = JSON.parse(
      new TextDecoder().decode(answer.body),
    ) as Uploaded;
    assert(holders.includes(b.node), "an acknowledgement under an old epoch");
  }
  await cluster.untilInSync();
  const again = await eventually(
    () => api.put(placed, body, { level: "C", idempotencyKey: key }),
    { what: "the retry to succeed" },
  );
  if (answer?.status === 201) {
    const first = JSON.parse(new TextDecoder().decode(answer.body)) as Uploaded;
    assert.equal(again.id, first.id, "one ID per key");
  }
  const files = await untilSame(cluster);
  assert.deepEqual(duplicates(files), [], "one visible ID per key");
  for (const { url } of [a, b]) {
    assert.equal(await sha256(await readFile(url, again.id)), again.sha256);
  }
});

// 12 s
Deno.test("S10: SIGTERM under load finishes or refuses, and loses nothing", async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const random = new Random(seedOfRun("S10"));
  const acknowledged: Acknowledged[] = [];
  /** Refusals that blame the client for our stop. */
  const blamed: string[] = [];
  let isOver = false;
  const worker = async () => {
    while (!isOver) {
      const body = random.bytes(random.between(1, 100_000));
      try {
        const { id } = await cluster.api.upload(body, { timeoutMs: 10_000 });
        acknowledged.push({ id, sha256: await sha256(body) });
      } catch (error) {
        if (error instanceof Refused && error.status !== 503) {
          blamed.push(error.message);
        }
        await pause(20);
      }
    }
  };
  const load = [worker(), worker(), worker(), worker()];
  for (const agent of cluster.agents) {
    await pause(500);
    const status = await agent.child.stop("SIGTERM");
    assert.equal(status.code, 0, agent.child.text);
    await agent.startAndWait();
    await cluster.untilInSync();
  }
  isOver = true;
  await Promise.all(load);
  await untilSame(cluster);
  await expectAllReadable(cluster, acknowledged);
  assert.deepEqual(blamed, []);
});

const noStrace = !await isInstalled("strace");
if (noStrace) say("SKIPPED S43: strace is not installed");

// 25 s
Deno.test({
  name: "S43: a flush of 500 ms delays answers, not heartbeats",
  ignore: noStrace,
}, async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const epoch = await cluster.epoch();
  const tracer = Child.start(scope, {
    command: [
      ...["strace", "-f", "-qq", "-o", "/dev/null"] as const,
      ...["-e", "trace=fsync,fdatasync"],
      ...["-e", "inject=fsync,fdatasync:delay_enter=500000"],
      ...["-p", String(b.pid)],
    ],
  });
  await pause(500);
  if (tracer.ended) {
    say(`SKIPPED S43: ${tracer.text}`);
    return;
  }
  const acknowledged: Acknowledged[] = [];
  const random = new Random(seedOfRun("S43"));
  const endMs = performance.now() + 8_000;
  while (performance.now() < endMs) {
    const bodies = Array.from({ length: 4 }, () => random.bytes(5_000));
    for (
      const [i, answer] of (await Promise.all(
        bodies.map((body) => api.uploadAt(a.node, body, { level: "C" })),
      )).entries()
    ) {
      assert.deepEqual([...answer.holders].sort(), [a.node, b.node].sort());
      const body = bodies[i] ?? new Uint8Array();
      acknowledged.push({ id: answer.id, sha256: await sha256(body) });
    }
    const nodes = await api.nodes();
    assert(nodes.every(({ alive }) => alive), "heartbeats go on");
  }
  tracer.signal("SIGINT");
  assert.equal(await cluster.epoch(), epoch, "no false failover");
  await untilSame(cluster);
  await expectAllReadable(cluster, acknowledged);
});
