/**
 * Members that are new, return, were wiped, or are taken away (F13, S51), with
 * three replicas: whoever counts holds everything, and an empty store is never
 * a proof that a file does not exist.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFile, readStatus, sha256 } from "../helpers/api.ts";
import {
  type Acknowledged,
  expectAllReadable,
  untilSame,
} from "../helpers/census.ts";
import { type Agent, Cluster } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { Scope } from "../helpers/scope.ts";

// 60 s
Deno.test("members come, go, and lose their disks", async (t) => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const random = new Random(seedOfRun("members"));
  const acknowledged: Acknowledged[] = [];
  const fill = async (count: number, level: "A" | "B" | "C" = "C") => {
    for (let i = 0; i < count; i++) {
      const size = i % 10 === 9 ? 300_000 : random.between(0, 20_000);
      const body = random.bytes(size);
      const answer = await eventually(() => api.upload(body, { level }), {
        what: "an upload",
      });
      acknowledged.push({ id: answer.id, sha256: await sha256(body) });
    }
  };
  const expectOwnCopies = async (agent: Agent) => {
    const listed = new Set((await api.list(agent.node)).map(({ id }) => id));
    const missing = acknowledged.filter(({ id }) => !listed.has(id));
    assert.deepEqual(missing, [], `at ${agent.name}`);
    for (const { id } of acknowledged.slice(0, 20)) {
      const [, , hh, ll, name] = id.split("/");
      const path = `${agent.dir}/store/data/${hh}/${ll}/${name}`;
      await eventually(() => Deno.stat(path), { what: `${path} to exist` });
    }
  };
  await fill(60);

  await t.step("a new member gets everything before it counts", async () => {
    const c = await cluster.addAgent();
    await cluster.untilInSync();
    await expectOwnCopies(c);
    await untilSame(cluster);
    await expectAllReadable(cluster, acknowledged);
    const answer = await api.upload(random.bytes(100), { level: "C" });
    assert.equal(answer.holders.length, 3);
  });
  const c = cluster.agent(2);

  await t.step("three replicas: two may die", async () => {
    await b.kill();
    await fill(10, "B");
    await c.kill();
    await fill(10);
    await Promise.all([b.startAndWait(), c.startAndWait()]);
    await cluster.untilInSync();
    await untilSame(cluster);
    await expectAllReadable(cluster, acknowledged);
  });

  await t.step(
    "S51: an emptied member never says 404, and is refilled",
    async () => {
      const storeOfB = async () =>
        (await api.group()).register.members
          .find(({ node }) => node === b.node)?.store;
      const before = await storeOfB();
      await b.stop();
      const identity = await Deno.readTextFile(`${b.dir}/agent.json`);
      await Deno.remove(b.dir, { recursive: true });
      await Deno.mkdir(b.dir);
      await Deno.writeTextFile(`${b.dir}/agent.json`, identity, {
        mode: 0o600,
      });
      b.start();
      const statuses = new Map<number, number>();
      const count = (status: number) =>
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      await b.untilUp();
      for (const { id } of acknowledged) count(await readStatus(b.url, id));
      assert.equal(statuses.get(404), undefined, "404 is a proof, not a guess");
      // Until then the set means the old database.
      await eventually(async () => await storeOfB() !== before, {
        what: "the group to know that the database is another",
      });
      await cluster.untilInSync();
      await expectOwnCopies(b);
      await untilSame(cluster);
      await expectAllReadable(cluster, acknowledged);
    },
  );

  await t.step(
    "S47, S51: store paths deleted under a stopped agent",
    async () => {
      await c.stop();
      await Deno.remove(`${c.dir}/store`, { recursive: true });
      c.start();
      await c.untilUp().catch(() => {});
      for (const { id } of acknowledged.slice(0, 30)) {
        if (c.child.ended) break; // Refusing to start is an answer, too.
        const status = await readStatus(c.url, id);
        assert.notEqual(status, 404, id);
        if (status === 200) await readFile(c.url, id);
      }
      await fill(5, "B");
    },
  );

  await t.step("a removed member is out, the rest go on", async () => {
    await api.call("DELETE", `/v1/nodes/${c.node}`);
    await cluster.untilInSync([a, b]);
    const { register } = await api.group();
    assert(register.members.every(({ node }) => node !== c.node));
    await c.kill();
    cluster.agents.pop();
    await fill(5);
    await untilSame(cluster);
    await expectAllReadable(cluster, acknowledged);
  });

  await t.step("a member that missed 300 files catches up", async () => {
    await b.kill();
    await Promise.all([fill(100), fill(100), fill(100, "A")]);
    await b.startAndWait();
    await cluster.untilInSync();
    await expectOwnCopies(b);
    await untilSame(cluster);
    await expectAllReadable(cluster, acknowledged);
  });
});
