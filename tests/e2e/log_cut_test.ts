/**
 * The change log of real agents stays short: members that were away and new
 * ones are brought in all the same.
 *
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Cluster } from "../helpers/cluster.ts";
import { expectAllReadable, untilSame } from "../helpers/census.ts";
import { eventually } from "../helpers/eventually.ts";
import { sha256 } from "../helpers/api.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { Scope } from "../helpers/scope.ts";

/** Few enough to be reached by a test. */
const KEEP = 50;
const LAG_MAX = 100;

// 25 s
Deno.test("a log stays short while members come, go, and come back", async () => {
  await using scope = new Scope();
  const random = new Random(seedOfRun("log cut"));
  const cluster = await Cluster.start(scope, {
    agents: 2,
    agentEnv: { KEDGE_LOG_KEEP: `${KEEP}`, KEDGE_LOG_LAG_MAX: `${LAG_MAX}` },
  });
  const [a, b] = cluster.pair;
  const stored: { id: string; sha256: string }[] = [];
  const upload = async (count: number) => {
    for (let left = count; left > 0; left -= 20) {
      const some = Array.from({ length: Math.min(20, left) }, async () => {
        const body = random.bytes(random.between(10, 3000));
        // A node that has just started may refuse for a moment.
        const idempotencyKey = crypto.randomUUID();
        const { id } = await eventually(
          () => cluster.api.uploadAt(a.node, body, { idempotencyKey }),
          { what: "an upload", deadlineMs: 20_000 },
        );
        stored.push({ id, sha256: await sha256(body) });
      });
      await Promise.all(some);
    }
  };
  await cluster.untilPlaced();
  await upload(300);
  await untilRows(a.dir, KEEP);
  // A kill and a start: the log goes on under a new run.
  await a.kill();
  await a.startAndWait();
  await cluster.untilInSync();
  await cluster.untilPlaced();
  await upload(200);
  await untilRows(a.dir, KEEP);

  await b.stop();
  await cluster.untilInSync([a]);
  await upload(300);
  await untilRows(a.dir, LAG_MAX);
  await b.startAndWait();
  await cluster.untilInSync();
  await untilRows(a.dir, KEEP);

  const c = await cluster.addAgent();
  await cluster.untilInSync([a, b, c], 40_000);
  await cluster.untilPlaced();
  await upload(100);
  await untilRows(a.dir, KEEP);
  await untilSame(cluster);
  await expectAllReadable(cluster, stored);
  assert.equal(stored.length, 900);
});

/** Wait until the log of an agent has no more than so many records. */
async function untilRows(dir: string, most: number): Promise<void> {
  await eventually(() => {
    using database = new DatabaseSync(`${dir}/kedge.db`, { readOnly: true });
    const row = database.prepare("SELECT count(*) AS n FROM changes").get();
    const count = Number(row?.n);
    if (count <= most) return true;
    throw new Error(`there are ${count}`);
  }, { what: `${dir} to have at most ${most} records`, deadlineMs: 20_000 });
}
