/**
 * Copies that rot on disk (S45, S46, F2, F14): a read never returns wrong bytes,
 * and the scrub finds and repairs what nobody reads.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFile, readStatus, sha256 } from "../helpers/api.ts";
import { Cluster } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { Scope } from "../helpers/scope.ts";

interface Victim {
  readonly id: string;
  readonly path: string;
  readonly body: Uint8Array<ArrayBuffer>;
}

const DAMAGES: [string, (path: string) => Promise<void>][] = [
  ["a flipped byte", async (path) => {
    const bytes = await Deno.readFile(path);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await Deno.writeFile(path, bytes);
  }],
  ["a cut tail", async (path) => {
    const { size } = await Deno.stat(path);
    await Deno.truncate(path, Math.floor(size / 2));
  }],
  ["zero length", (path) => Deno.truncate(path, 0)],
  ["no file at all", (path) => Deno.remove(path)],
];

// 30 s
Deno.test("S45, S46: damaged copies", async (t) => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope, {
    agentEnv: { KEDGE_SCRUB_BANDWIDTH: "0" },
  });
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const random = new Random(seedOfRun("damage"));
  const victim = async (size: number): Promise<Victim> => {
    const body = random.bytes(size);
    const { id } = await api.uploadAt(a.node, body, { level: "C" });
    const [, , hh, ll, name] = id.split("/");
    const path = `${a.dir}/store/data/${hh}/${ll}/${name}`;
    await eventually(() => Deno.stat(path), { what: `${path} to exist` });
    await settled(path, body);
    return { id, path, body };
  };

  const expectHealed = async ({ id, path, body }: Victim) => {
    const answer = await fetch(`${a.url}/${id}`);
    const got = await answer.bytes().catch(() => undefined);
    if (answer.ok && got !== undefined) {
      assert.deepEqual(got, body, "wrong bytes as if they were right");
    }
    assert.notEqual(answer.status, 404);
    // It heals from the peer, at the latest for the next reader.
    await eventually(async () => {
      assert.deepEqual(await readFile(a.url, id), body);
      return await sha256(await Deno.readFile(path)) === await sha256(body);
    }, { what: `${path} to be repaired` });
    assert.deepEqual(await readFile(b.url, id), body);
  };

  await t.step("small files, read after a restart", async () => {
    // Lately used small files are in memory; a restart makes them cold.
    const victims: Victim[] = [];
    for (const [, damage] of DAMAGES) {
      const made = await victim(3_000);
      victims.push(made);
      await a.stop();
      await damage(made.path);
      await a.startAndWait();
      await cluster.untilInSync();
    }
    for (const made of victims) await expectHealed(made);
  });

  for (const size of [400_000, 3_000_000]) {
    for (const [name, damage] of DAMAGES) {
      await t.step(`a read of ${size} bytes with ${name}`, async () => {
        const made = await victim(size);
        await damage(made.path);
        await expectHealed(made);
      });
    }
  }

  await t.step("a range beside the damage, and one inside", async () => {
    const { id, path, body } = await victim(3_000_000);
    await DAMAGES[0]?.[1](path);
    for (const [from, to] of [[0, 99], [1_499_990, 1_500_010]] as const) {
      const answer = await fetch(`${a.url}/${id}`, {
        headers: { range: `bytes=${from}-${to}` },
      });
      const got = await answer.bytes().catch(() => undefined);
      if (answer.ok && got !== undefined) {
        assert.deepEqual(got, body.subarray(from, to + 1));
      }
    }
  });

  await t.step("the scrub repairs what nobody reads", async () => {
    const victims: Victim[] = [];
    for (const [, damage] of DAMAGES) {
      const made = await victim(random.between(1_000, 200_000));
      await damage(made.path);
      victims.push(made);
    }
    await api.call("POST", `/v1/nodes/${a.node}/scrub`);
    for (const { path, body } of victims) {
      await eventually(
        async () =>
          await sha256(await Deno.readFile(path)) === await sha256(body),
        {
          what: `the scrub to repair ${path}`,
        },
      );
    }
  });

  await t.step("damaged everywhere: an error, never wrong bytes", async () => {
    const { id, path } = await victim(100_000);
    await DAMAGES[0]?.[1](path);
    const there = path.replace(a.dir, b.dir);
    await eventually(() => Deno.stat(there), { what: `${there} to exist` });
    await DAMAGES[0]?.[1](there);
    for (const { url } of [a, b, cluster.tracker]) {
      assert.equal(await readStatus(url, id), 503);
    }
    assert(await Deno.stat(path), "repair never deletes");
  });
});

async function settled(path: string, body: Uint8Array): Promise<void> {
  await eventually(async () => (await Deno.stat(path)).size === body.length, {
    what: `${path} to be written`,
  });
}
