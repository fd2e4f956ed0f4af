/**
 * Files that change: one writer at a time, nothing lost, replicas equal. FastDFS
 * loses and swaps such changes; each step here is one of its flaws.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Uploaded } from "@kedge/schema";
import { ask, readFile, readStatus, Refused } from "../helpers/api.ts";
import { Cluster } from "../helpers/cluster.ts";
import { untilSame } from "../helpers/census.ts";
import { eventually } from "../helpers/eventually.ts";
import { Scope } from "../helpers/scope.ts";

const text = (words: string) => new TextEncoder().encode(words);
const words = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

// 20 s
Deno.test("appender files", async (t) => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const everywhere = async (id: string, content: string) => {
    for (const { url } of [a, b, cluster.tracker]) {
      assert.equal(words(await readFile(url, id)), content);
    }
  };

  await t.step(
    "append, modify, truncate are seen on every replica",
    async () => {
      const { id } = await api.uploadAt(a.node, text("hello"), {
        appender: true,
        name: "log.txt",
      });
      const appended = await api.append(id, text(" world"));
      assert.equal(appended.size, 11);
      await everywhere(id, "hello world");
      await api.modify(id, 6, text("there"));
      await everywhere(id, "hello there");
      await api.truncate(id, 5);
      await everywhere(id, "hello");
      await api.truncate(id, 7);
      await everywhere(id, "hello\0\0");
      const info = await api.info(id);
      assert.equal(info.size, 7);
      assert.equal(info.appender, true);
      assert(info.version >= 5);
    },
  );

  await t.step("an ordinary file cannot be changed", async () => {
    const { id } = await api.upload(text("fixed"));
    await assert.rejects(
      api.append(id, text("x")),
      (error) => error instanceof Refused && error.slug === "not-an-appender",
    );
    await everywhere(id, "fixed");
  });

  await t.step(
    "200 appends through both nodes at once: none lost",
    async () => {
      const { id } = await api.uploadAt(a.node, text(""), { appender: true });
      const count = 200;
      const numbers = Array.from({ length: count }, (_, i) => i);
      const doors = [a.url, b.url, cluster.tracker.url];
      const worker = async (door: string) => {
        for (let n = numbers.pop(); n !== undefined; n = numbers.pop()) {
          await appendThrough(cluster, door, id, text(`<${n}>`));
        }
      };
      await Promise.all([...doors, ...doors].map(worker));
      const content = words(await readFile(a.url, id));
      assert.equal(words(await readFile(b.url, id)), content);
      const seen = [...content.matchAll(/<(\d+)>/g)].map((m) => Number(m[1]));
      assert.equal(seen.length, count, "every append once");
      assert.equal(new Set(seen).size, count, "no append twice");
      assert.equal(content.replaceAll(/<\d+>/g, ""), "", "none torn");
    },
  );

  await t.step("large appends, and a modify over two blocks", async () => {
    const block = new Uint8Array(1_500_000).fill(65);
    const { id } = await api.uploadAt(b.node, block, { appender: true });
    await api.append(id, new Uint8Array(1_500_000).fill(66));
    await api.modify(id, 1_048_570, text("0123456789ab"));
    const whole = await readFile(a.url, id);
    assert.deepEqual(await readFile(b.url, id), whole);
    assert.equal(whole.length, 3_000_000);
    assert.equal(words(whole.subarray(1_048_569, 1_048_583)), "A0123456789abA");
  });

  await t.step("derived files follow their master", async () => {
    const master = await api.uploadAt(a.node, text("big"), { name: "p.jpg" });
    const small = await api.derive(master.id, "_150x150", text("small"), "jpg");
    assert.equal(small.id, master.id.replace(/\.jpg$/, "_150x150.jpg"));
    await everywhere(small.id, "small");
    await everywhere(master.id, "big");
    assert.equal((await api.info(small.id)).master, master.id);
    await assert.rejects(
      api.derive(master.id, "_150x150", text("other"), "jpg"),
      (error) => error instanceof Refused && error.status === 409,
    );
    await everywhere(small.id, "small");
  });

  await t.step("metadata: overwrite, merge, on every replica", async () => {
    const { id } = await api.uploadAt(b.node, text("m"));
    await api.setMeta(id, { one: "1", two: "2" });
    await api.setMeta(id, { two: "zwei", three: "3" }, "PATCH");
    const wanted = { one: "1", two: "zwei", three: "3" };
    for (const { url } of [a, b]) {
      assert.deepEqual(await api.meta(id, url), wanted);
    }
    await api.setMeta(id, { only: "this" });
    for (const { url } of [a, b]) {
      assert.deepEqual(await api.meta(id, url), { only: "this" });
    }
    const tooLong = { ["n".repeat(65)]: "v" };
    await assert.rejects(api.setMeta(id, tooLong), Refused);
  });

  await t.step("the owner dies: ownership moves after the shrink", async () => {
    const { id } = await api.uploadAt(a.node, text("1"), { appender: true });
    await a.kill();
    await eventually(() => api.append(id, text("2")), {
      what: "an append without the owner",
      deadlineMs: 30_000,
    });
    assert.equal(words(await readFile(b.url, id)), "12");
    await a.startAndWait();
    await cluster.untilInSync();
    await api.append(id, text("3"));
    await everywhere(id, "123");
  });

  await t.step("in the end both list the same", async () => {
    await untilSame(cluster);
  });

  await t.step("a deleted appender file takes no more appends", async () => {
    const { id } = await api.uploadAt(a.node, text("x"), { appender: true });
    await api.remove(id);
    await assert.rejects(api.append(id, text("y")), Refused);
    for (const { url } of [a, b]) assert.equal(await readStatus(url, id), 404);
  });
});

/** Append by a certain door: an agent that is not the owner redirects. */
async function appendThrough(
  cluster: Cluster,
  door: string,
  id: string,
  body: Uint8Array<ArrayBuffer>,
): Promise<void> {
  const path = `/v1/files/${id}/append`;
  const placed = await fetch(cluster.tracker.url + path, {
    method: "POST",
    redirect: "manual",
    headers: { authorization: `Bearer ${cluster.api.key}` },
  });
  await placed.body?.cancel();
  const location = placed.headers.get("location");
  assert(location !== null, `no redirect, but ${placed.status}`);
  const url = door === cluster.tracker.url
    ? new URL(location)
    : new URL(new URL(location).pathname + new URL(location).search, door);
  await ask<Uploaded>("append", url, {
    method: "POST",
    body,
    signal: AbortSignal.timeout(30_000),
  });
}
