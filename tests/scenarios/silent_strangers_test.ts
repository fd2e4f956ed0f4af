/**
 * Strangers that connect to the peer ports and say nothing: they cost nobody a
 * link, and a member that was killed meanwhile comes back (F15).
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Agent, Cluster } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { Scope } from "../helpers/scope.ts";

const STRANGERS = 150;

/** Connect, wait to be hung up on, connect again, until `signal`. */
async function beSilent(
  address: { hostname: string; port: number },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      using connection = await Deno.connect(address);
      const hangUp = () => connection.close();
      signal.addEventListener("abort", hangUp, { once: true });
      await connection.read(new Uint8Array(10)).catch(() => {});
      signal.removeEventListener("abort", hangUp);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function untilLinked({ url }: Agent): Promise<void> {
  await eventually(async () => {
    const status = await (await fetch(`${url}/v1/node`)).json();
    const { peers } = status.replication as { peers: { linked: boolean }[] };
    return peers.length > 0 && peers.every(({ linked }) => linked);
  }, { what: `${url} to be linked with its peers` });
}

// 10 s
Deno.test("silent strangers at the peer ports keep no member out", async () => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const [a, b] = cluster.pair;
  const random = new Random(seedOfRun("silent strangers"));
  const stop = new AbortController();
  const strangers = [a, b].flatMap(({ url }) => {
    const { hostname, port } = new URL(url);
    const address = { hostname, port: Number(port) + 1000 };
    return Array.from(
      { length: STRANGERS },
      () => beSilent(address, stop.signal),
    );
  });
  try {
    await b.kill();
    await b.startAndWait();
    // The register has not moved: b was away for a moment only. Whoever uploads
    // before it is linked again is answered without it, as promised.
    await untilLinked(a);
    await cluster.untilInSync();
    // Small and large ones: those go over connections of their own.
    for (const size of [1_000, 300_000, 2_000_000, 300_000]) {
      const body = random.bytes(size);
      const { holders } = await cluster.api.uploadAt(a.node, body);
      assert.deepEqual(holders.toSorted(), [a.node, b.node]);
    }
  } finally {
    stop.abort();
    await Promise.all(strangers);
  }
});
