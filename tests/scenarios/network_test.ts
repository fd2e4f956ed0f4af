/**
 * Cut cables between source and peer (S13, S14, S15, S16): an answer never
 * claims more than was done, and everything converges after the cable is back.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Uploaded } from "@kedge/schema";
import { readStatus, Refused, sha256 } from "../helpers/api.ts";
import {
  type Acknowledged,
  duplicates,
  expectAllReadable,
  idsAt,
  untilSame,
} from "../helpers/census.ts";
import { type Agent, Cluster } from "../helpers/cluster.ts";
import { pause } from "../helpers/eventually.ts";
import { hasNamespaces, type Network } from "../helpers/network.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const ignore = !await hasNamespaces("S13, S14, S15, S16");

// 50 s
Deno.test({ name: "cut cables", ignore }, async (t) => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope, { isNetworked: true });
  const { network } = cluster;
  assert(network !== undefined);
  const [a, b] = cluster.pair;
  const writer = new Writer(cluster, a);

  const scenarios: [string, (network: Network) => Promise<void>][] = [
    ["S13: both directions lost", (net) => net.cut("a", "b")],
    ["S14: source to peer lost", (net) => net.cutOneWay("a", "b")],
    ["S15: peer to source lost", (net) => net.cutOneWay("b", "a")],
  ];
  for (const [name, cut] of scenarios) {
    await t.step(name, async () => {
      await cluster.untilPlaced([a]);
      await writer.place();
      const before = await cluster.epoch();
      const writing = writer.write(5_000);
      await pause(500);
      await cut(network);
      await writing;
      await writer.expectHonest(b);
      assert(await cluster.epoch() > before, "the shrink is on record");
      await network.heal();
      await cluster.untilInSync();
      const files = await untilSame(cluster);
      await expectAllReadable(cluster, writer.acknowledged);
      assert.deepEqual(duplicates(files), [], "no file twice after the cut");
      say(`${name}: ${writer.summary()}`);
    });
  }

  await t.step("S16: a partial cut does not flap the register", async () => {
    await network.cut("a", "b");
    const before = await cluster.epoch();
    await writer.place();
    await writer.write(8_000);
    const raised = await cluster.epoch() - before;
    assert(raised >= 1, "somebody was shrunk");
    assert(raised <= 3, `${raised} epochs in 8 s: at most one in 5 s`);
    // Both sides still reach the tracker: no read may say "not found".
    const reads = writer.acknowledged.slice(-20).flatMap(({ id }) =>
      [a, b].map(async ({ url }) => {
        assert.notEqual(await readStatus(url, id), 404, `${url}/${id}`);
      })
    );
    await Promise.all(reads);
    await network.heal();
    await cluster.untilInSync();
    await untilSame(cluster);
    await expectAllReadable(cluster, writer.acknowledged);
  });
});

/** A client that keeps uploading at level C to one node. */
class Writer {
  readonly acknowledged: Acknowledged[] = [];
  readonly #answers: Uploaded[] = [];
  readonly #random = new Random(seedOfRun("cut cables"));
  #refused = 0;
  #placed: Awaited<ReturnType<Cluster["api"]["placeAt"]>> | undefined;

  constructor(readonly cluster: Cluster, readonly agent: Agent) {}

  summary(): string {
    return `${this.#answers.length} acknowledged, ${this.#refused} refused`;
  }

  async place(): Promise<void> {
    this.#placed = await this.cluster.api.placeAt(this.agent.node);
  }

  /** Two uploads at a time for a while; refusals with 503 are fine. */
  async write(durationMs: number): Promise<void> {
    const endMs = performance.now() + durationMs;
    const worker = async () => {
      while (performance.now() < endMs) await this.#one();
    };
    await Promise.all([worker(), worker()]);
  }

  /** What an answer says to be at `peer` must be there, now. */
  async expectHonest(peer: Agent): Promise<void> {
    const there = await idsAt(this.cluster.api, peer.node);
    for (const { id, level, holders } of this.#answers) {
      if (holders.includes(peer.node)) {
        assert(there.has(id), `${id} was said to be at ${peer.name}`);
      }
      assert(holders.includes(this.agent.node));
      // C is kept by shrinking first; B and less must say so.
      assert(["A", "B", "C"].includes(level));
    }
  }

  async #one(): Promise<void> {
    assert(this.#placed !== undefined);
    const body = this.#random.bytes(this.#random.between(1, 100_000));
    const began = { level: "C", timeoutMs: 20_000 } as const;
    try {
      const answer = await this.cluster.api.put(this.#placed, body, began);
      this.#answers.push(answer);
      this.acknowledged.push({ id: answer.id, sha256: await sha256(body) });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      assert.equal(error.status, 503, error.message);
      this.#refused++;
      await pause(50);
    }
    // Enough to see every moment of a cut; each file is read again later.
    await pause(10);
  }
}
