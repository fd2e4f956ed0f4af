/**
 * kill -9 of source, peer and tracker at random moments during uploads: nothing
 * that was acknowledged is lost or wrong, on any node (I13, I16, F1, F9).
 *
 * `KEDGE_SEED` repeats the order of events, `KEDGE_KILL_UPLOADS` changes the
 * number of uploads per level (default 2,100, over both of B and C together).
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Level } from "@kedge/schema";
import { type Bytes, Refused, sha256 } from "../helpers/api.ts";
import {
  type Acknowledged,
  duplicates,
  expectAllReadable,
  untilSame,
} from "../helpers/census.ts";
import { Cluster, type Managed } from "../helpers/cluster.ts";
import { pause } from "../helpers/eventually.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const UPLOADS = Number(Deno.env.get("KEDGE_KILL_UPLOADS") ?? 2_100);
/** Uploads under way at once. */
const WORKERS = 6;
/** Fewest kills of a run. */
const KILLS = 8;
/** Longest run, in milliseconds. */
const RUN_MS_MAX = 120_000;
/** A client gives up on one file after this long, in milliseconds. */
const PATIENCE_MS = 60_000;

// 45 s
Deno.test("kill -9 during uploads at B and C loses nothing", async () => {
  await rampage("B and C", ["B", "C"]);
});

// 40 s
Deno.test("kill -9 during uploads at A loses nothing", async () => {
  await rampage("A", ["A"]);
});

async function rampage(
  name: string,
  levels: readonly Level[],
): Promise<void> {
  await using scope = new Scope();
  const random = new Random(seedOfRun(`kill at ${name}`));
  const cluster = await Cluster.start(scope);
  const crowd = new Crowd(cluster, random, levels);
  const killer = new Killer(cluster, random);
  const killing = killer.run();
  await crowd.run(UPLOADS, () => killer.count >= KILLS);
  killer.stop();
  await killing;
  say(
    `kill at ${name}: ${crowd.acknowledged.length} acknowledged, ` +
      `${crowd.retries} retries, killed ${killer.report()}`,
  );
  assert(crowd.acknowledged.length >= UPLOADS * 0.98, crowd.failures());
  assert(killer.count >= KILLS, `only ${killer.count} kills`);

  await cluster.untilInSync(cluster.agents, 40_000);
  const files = await untilSame(cluster);
  await expectAllReadable(cluster, crowd.acknowledged);
  const listed = new Set(files.map(({ id }) => id));
  const missing = crowd.acknowledged.filter(({ id }) => !listed.has(id));
  assert.deepEqual(missing, [], "acknowledged and not listed");
  await expectOneIdPerKey(cluster, crowd.acknowledged, duplicates(files));
  assert.deepEqual(crowd.forbidden, [], "a kill is no mistake of the client");
}

/**
 * A key that was acknowledged stands for that file at every node. A first try
 * that died with its source, unanswered, may have left a second file with the
 * same content; then all nodes must agree on one of the two.
 */
async function expectOneIdPerKey(
  cluster: Cluster,
  uploads: readonly Upload[],
  twins: readonly string[],
): Promise<void> {
  say(`${twins.length} files twice, from tries without an answer`);
  const twinOf = (id: string) => twins.find((twin) => twin.includes(id));
  const suspects = uploads.filter(({ id }) => twinOf(id) !== undefined);
  for (const { id, key, body } of [...suspects, ...uploads.slice(-20)]) {
    const ids = new Set<string>();
    for (const { node } of cluster.agents) {
      const placed = await cluster.api.placeAt(node);
      const options = { idempotencyKey: key };
      ids.add((await cluster.api.put(placed, body, options)).id);
    }
    const [named = "", ...others] = ids;
    assert.deepEqual(others, [], `nodes differ about ${key}: ${[...ids]}`);
    assert((twinOf(id) ?? id).includes(named), `${key}: ${named}, not ${id}`);
  }
}

interface Upload extends Acknowledged {
  readonly key: string;
  readonly body: Bytes;
}

/** Clients that upload and try again with the same key. */
class Crowd {
  readonly acknowledged: Upload[] = [];
  retries = 0;
  /** Refusals that tell a client not to try again. */
  readonly forbidden: string[] = [];
  readonly #given: string[] = [];

  constructor(
    readonly cluster: Cluster,
    readonly random: Random,
    readonly levels: readonly Level[],
  ) {}

  /** Upload at least `count` files, and go on until `isEnough`. */
  async run(count: number, isEnough: () => boolean): Promise<void> {
    const endMs = performance.now() + RUN_MS_MAX;
    let left = count;
    const worker = async () => {
      while (left-- > 0 || (!isEnough() && performance.now() < endMs)) {
        await this.#one();
        // Spread over time, so that the killer strikes often enough.
        await pause(this.random.between(20, 100));
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, worker));
  }

  failures(): string {
    return `given up: ${this.#given.slice(0, 5).join("\n")}`;
  }

  async #one(): Promise<void> {
    const body = this.random.bytes(this.#size());
    const level = this.random.pick(this.levels);
    const idempotencyKey = crypto.randomUUID();
    const giveUpMs = performance.now() + PATIENCE_MS;
    const ids = new Set<string>();
    let last: unknown;
    while (performance.now() < giveUpMs) {
      try {
        const answer = await this.cluster.api.upload(body, {
          level,
          idempotencyKey,
          timeoutMs: 15_000,
        });
        ids.add(answer.id);
        assert.equal(answer.size, body.length);
        this.acknowledged.push({
          ...{ id: answer.id, sha256: await sha256(body) },
          ...{ key: idempotencyKey, body },
        });
        return;
      } catch (error) {
        if (error instanceof Refused && error.status < 500) {
          this.forbidden.push(error.message);
        }
        if (error instanceof assert.AssertionError) throw error;
        last = error;
        this.retries++;
        await pause(this.random.between(20, 200));
      }
    }
    this.#given.push(String(last));
  }

  #size(): number {
    const kind = this.random.next();
    if (kind < 0.02) return 0;
    if (kind < 0.8) return this.random.between(24, 8_000);
    if (kind < 0.95) return this.random.between(8_000, 66_000);
    return this.random.between(66_000, 600_000);
  }
}

/** Kills one process after another and starts it again. */
class Killer {
  readonly #counts = new Map<string, number>();
  #isOver = false;

  constructor(readonly cluster: Cluster, readonly random: Random) {}

  get count(): number {
    return [...this.#counts.values()].reduce((sum, n) => sum + n, 0);
  }

  report(): string {
    return [...this.#counts].map(([name, n]) => `${name} ${n} ×`).join(", ");
  }

  stop(): void {
    this.#isOver = true;
  }

  async run(): Promise<void> {
    const { cluster, random } = this;
    const victims: Managed[] = [...cluster.agents, cluster.tracker];
    while (!this.#isOver) {
      await pause(random.between(100, 1_500));
      const victim = random.pick(victims);
      await victim.kill();
      this.#counts.set(victim.name, (this.#counts.get(victim.name) ?? 0) + 1);
      await pause(random.between(0, 600));
      victim.start();
      await victim.untilUp();
      // Mostly let the group heal, so that both sides take uploads again;
      // sometimes strike while it heals.
      if (random.next() < 0.7) await cluster.untilInSync();
    }
  }
}
