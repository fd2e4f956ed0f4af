import assert from "node:assert/strict";
import { Problem } from "@kedge/schema";
import { FakeDoor, slugOf } from "../../../tests/helpers/fake_door.ts";
import type { Ask } from "../../../tests/helpers/fake_door.ts";
import {
  append,
  appender,
  change,
  modify,
  setMeta,
  text,
  truncate,
} from "../../../tests/helpers/door_changes.ts";

function derive(
  door: FakeDoor,
  id: string,
  prefix: string,
  ask: Ask,
  ext = "png",
) {
  const path = `/derived?prefix=${prefix}&ext=${ext}`;
  return change(door, { id, action: "derive", path }, {
    method: "POST",
    ...ask,
  });
}

Deno.test("delete leaves a tombstone and frees the name of nothing", async () => {
  const door = new FakeDoor();
  const headers = { "x-kedge-meta-a": "secret" };
  const { id } = await door.upload("x", "/v1/files/a.txt", { headers });
  const response = await change(door, { id, action: "delete" }, {
    method: "DELETE",
  });
  assert.deepEqual(await response.json(), { id, level: "C", holders: [1, 2] });
  const entry = door.files.lookup(id);
  assert.equal(entry?.state, "tombstone");
  assert.equal(entry?.version, 2);
  assert.deepEqual(entry?.meta, {});
  const again = await change(door, { id, action: "delete" }, {
    method: "DELETE",
  });
  assert.equal(await slugOf(again), "file-not-found");
  assert.equal((await append(door, id, { body: "x" })).status, 404);
});

Deno.test("delete is sync, or eventual at level A", async () => {
  const levels = {
    "": "C",
    "?delete=sync": "C",
    "?delete=eventual": "A",
    "?level=A": "C",
  };
  for (const [path, level] of Object.entries(levels)) {
    const door = new FakeDoor();
    const { id } = await door.upload("x");
    await change(door, { id, action: "delete", path }, { method: "DELETE" });
    assert.equal(door.replicator.committed.at(-1)?.level, level, path);
  }
  const door = new FakeDoor();
  const { id } = await door.upload("x");
  const path = "?delete=maybe";
  const odd = await change(door, { id, action: "delete", path }, {
    method: "DELETE",
  });
  assert.equal(await slugOf(odd), "invalid-request");
});

Deno.test("delete needs no owner", async () => {
  const door = new FakeDoor({ node: 2 });
  const other = new FakeDoor({ node: 1 });
  const { id } = await other.upload("x");
  const stored = other.files.stored.get(id);
  assert(stored);
  door.files.stored.set(id, stored);
  const response = await change(door, { id, action: "delete" }, {
    method: "DELETE",
  });
  assert.equal(response.status, 200);
});

Deno.test("changes are made at level B at least", async () => {
  const { door, id } = await appender();
  door.replicator.groupSettings = { level: "A", fileBytesMax: 1e6 };
  const headers = { "x-kedge-level": "A" };
  await append(door, id, { headers, body: "x" });
  await modify(door, id, 0, { headers, body: "x" });
  await truncate(door, id, 1, { headers });
  await setMeta(door, id, "PUT", {}, { headers });
  const levels = door.replicator.committed.slice(1).map(({ level }) => level);
  assert.deepEqual(levels, ["B", "B", "B", "B"]);
});

Deno.test("everybody but the owner sends the client to the owner", async () => {
  const { door: owner, id } = await appender();
  const stored = owner.files.stored.get(id);
  assert(stored);
  const door = new FakeDoor({ node: 2 });
  door.files.stored.set(id, stored);
  const sent = await append(door, id, { body: "x" });
  assert.equal(sent.status, 307);
  const location = sent.headers.get("location") ?? "";
  const start = `http://node1.test/v1/files/${id}/append?cap=`;
  assert(location.startsWith(start), location);
  const at = await owner.ask(location.slice("http://node1.test".length), {
    method: "POST",
    body: "x",
  });
  assert.equal(at.status, 200);
  const cap = door.capability({ a: "modify", f: id });
  const query = `?offset=0&cap=${cap}&x=%20`;
  const kept = await door.ask(`/v1/files/${id}/content${query}`, {
    method: "PUT",
  });
  assert.equal(
    kept.headers.get("location"),
    `http://node1.test/v1/files/${id}/content${query}`,
  );
  assert.equal((await truncate(door, id, 0)).status, 307);
  assert.equal((await setMeta(door, id, "PUT", {})).status, 307);
  assert.equal((await derive(door, id, "_s", {})).status, 307);
  const bound = { a: "append", f: id, n: 2 } as const;
  const refused = await append(door, id, { cap: bound, body: "x" });
  assert.equal(refused.status, 421);
  const problem = await refused.json();
  assert.deepEqual([problem.node, problem.url], [1, "http://node1.test"]);
});

Deno.test("ownership moves with the in-sync set", async () => {
  const { door: origin, id } = await appender();
  const stored = origin.files.stored.get(id);
  assert(stored);
  const door = new FakeDoor({ node: 2, insync: [2] });
  door.files.stored.set(id, stored);
  assert.equal((await append(door, id, { body: "x" })).status, 200);
  door.replicator.current = { ...door.replicator.current, insync: [] };
  assert.equal(
    await slugOf(await append(door, id, { body: "x" })),
    "not-in-sync",
  );
});

Deno.test("an owner that stops being it while the body arrives refuses", async () => {
  const { door, id } = await appender();
  const { promise, resolve } = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await promise;
      controller.enqueue(new Uint8Array(100_000));
      controller.close();
    },
  });
  const answer = append(door, id, { body });
  await new Promise((done) => setTimeout(done));
  door.replicator.current = { ...door.replicator.current, insync: [2] };
  resolve();
  assert.equal((await answer).status, 421);
  assert.equal(door.files.staging.size, 0);
  assert.equal(await text(door, id), "hello");
});

Deno.test("a file deleted while the body arrives stays deleted", async () => {
  const { door, id } = await appender();
  const { promise, resolve } = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await promise;
      controller.enqueue(new Uint8Array(100_000));
      controller.close();
    },
  });
  const answer = append(door, id, { body });
  await new Promise((done) => setTimeout(done));
  await change(door, { id, action: "delete" }, { method: "DELETE" });
  resolve();
  assert.equal((await answer).status, 404);
  assert.equal(door.files.staging.size, 0);
});

Deno.test("a damaged appender is repaired before it is changed", async () => {
  const { door, id } = await appender();
  const good = door.files.stored.get(id);
  assert(good);
  const copy = { ...good };
  door.files.damage(id);
  door.replicator.onFetch = () => door.files.stored.set(id, copy);
  door.replicator.outcomes.set(id, { kind: "kept", entry: copy.entry });
  assert.equal((await append(door, id, { body: "!" })).status, 200);
  assert.equal(await text(door, id), "hello!");
  door.files.damage(id);
  door.replicator.onFetch = undefined;
  door.replicator.outcomes.set(id, { kind: "damaged", why: "bad" });
  assert.equal(await slugOf(await append(door, id, { body: "!" })), "damaged");
  assert.equal(door.files.lookup(id)?.version, 2);
});

Deno.test("a change that the group refuses leaves the file as it was", async () => {
  const { door, id } = await appender();
  door.replicator.commitFailure = new Problem("not-in-sync", "out");
  const body = new Uint8Array(100_000);
  assert.equal((await append(door, id, { body })).status, 503);
  assert.equal(door.files.staging.size, 0);
  assert.equal(await text(door, id), "hello");
  door.replicator.commitFailure = undefined;
  door.replicator.writable = { ok: false, why: "draining" };
  for (
    const response of await Promise.all([
      append(door, id, { body: "x" }),
      modify(door, id, 0, { body: "x" }),
      truncate(door, id, 0),
      setMeta(door, id, "PUT", {}),
      derive(door, id, "_s", { body: "x" }),
      change(door, { id, action: "delete" }, { method: "DELETE" }),
    ])
  ) {
    assert.equal(await slugOf(response), "read-only");
  }
});

Deno.test("a derived file is named after its master", async () => {
  const door = new FakeDoor();
  const { id } = await door.upload("x", "/v1/files/a.jpg?level=A");
  const response = await derive(door, id, "_150x150", {
    body: "small",
    headers: { "x-kedge-level": "A" },
  });
  assert.equal(response.status, 201);
  const derived = await response.json();
  assert.equal(derived.id, id.replace(".jpg", "_150x150.png"));
  assert.equal(derived.level, "B", "derived files are at level B at least");
  assert.equal(await text(door, derived.id), "small");
  const info = await (await door.ask(`/v1/files/${derived.id}/info`)).json();
  assert.equal(info.master, id);
  assert.equal(info.type, "image/png");
  const again = await derive(door, id, "_150x150", { body: "other" });
  assert.equal(await slugOf(again), "already-exists");
  assert.equal(await text(door, derived.id), "small");
  await change(door, { id: derived.id, action: "delete" }, {
    method: "DELETE",
  });
  const dead = await derive(door, id, "_150x150", { body: "other" });
  assert.equal(await slugOf(dead), "already-exists");
});

Deno.test("a derived file needs a good prefix and a living master", async () => {
  const door = new FakeDoor();
  const { id } = await door.upload("x", "/v1/files/a.jpg");
  const bad = ["", "a%2Fb", "..%2F", "x".repeat(17), "%00"];
  for (const prefix of bad) {
    const response = await derive(door, id, prefix, { body: "x" });
    assert.equal(await slugOf(response), "invalid-request", prefix);
  }
  const long = await derive(door, id, "_s", { body: "x" }, "toolong");
  assert.equal(await slugOf(long), "invalid-request");
  const derived = await (await derive(door, id, "_s", { body: "x" })).json();
  const second = await derive(door, derived.id, "_t", { body: "x" });
  assert.match((await second.json()).id, /_s_t\.png$/);
  await change(door, { id, action: "delete" }, { method: "DELETE" });
  assert.equal((await derive(door, id, "_u", { body: "x" })).status, 404);
});

Deno.test("a derived file is made once, also by many and by retries", async () => {
  const door = new FakeDoor();
  const { id } = await door.upload("x", "/v1/files/a.jpg");
  const all = await Promise.all(
    Array.from(
      { length: 10 },
      (_, at) => derive(door, id, "_s", { body: `${at}` }),
    ),
  );
  const statuses = all.map(({ status }) => status).sort();
  assert.deepEqual(statuses, [201, ...Array.from({ length: 9 }, () => 409)]);
  const headers = { "idempotency-key": "k" };
  const first = await derive(door, id, "_t", { headers, body: "t" });
  const retry = await derive(door, id, "_t", { headers, body: "t" });
  assert.equal(retry.status, 201);
  assert.deepEqual(await retry.json(), await first.json());
  const other = await derive(door, id, "_u", { headers, body: "t" });
  assert.equal(await slugOf(other), "idempotency-conflict");
});
