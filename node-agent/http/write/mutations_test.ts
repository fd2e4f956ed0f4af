import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { Problem } from "@kedge/schema";
import { FakeDoor, slugOf } from "../../../tests/helpers/fake_door.ts";
import type { Ask } from "../../../tests/helpers/fake_door.ts";
import type { CapabilityAction } from "@kedge/schema/capability";

async function appender(body = "hello") {
  const door = new FakeDoor();
  const { id } = await door.upload(body, "/v1/files/log.txt?appender=1");
  return { door, id };
}

/** Ask with a capability for this file. */
function change(
  door: FakeDoor,
  { id, action, path = "" }: {
    id: string;
    action: CapabilityAction;
    path?: string;
  },
  ask: Ask = {},
) {
  const cap = { a: action, f: id };
  return door.ask(`/v1/files/${id}${path}`, { cap, ...ask });
}

const append = (door: FakeDoor, id: string, ask: Ask) =>
  change(door, { id, action: "append", path: "/append" }, {
    method: "POST",
    ...ask,
  });

const modify = (door: FakeDoor, id: string, offset: unknown, ask: Ask) => {
  const path = `/content?offset=${offset}`;
  return change(door, { id, action: "modify", path }, {
    method: "PUT",
    ...ask,
  });
};

const truncate = (door: FakeDoor, id: string, size: unknown, ask: Ask = {}) => {
  const path = `/truncate?size=${size}`;
  return change(door, { id, action: "truncate", path }, {
    method: "POST",
    ...ask,
  });
};

const setMeta = (
  door: FakeDoor,
  id: string,
  method: string,
  meta: unknown,
  more: Ask = {},
) => {
  const body = JSON.stringify(meta);
  return change(door, { id, action: "set-meta", path: "/meta" }, {
    method,
    body,
    ...more,
  });
};

const text = async (door: FakeDoor, id: string) =>
  await (await door.ask(`/${id}`)).text();

Deno.test("a change that is tried again under its key is made once", async () => {
  const { door, id } = await appender();
  const keyed = { "idempotency-key": "k1" };
  const first = await append(door, id, { body: " world", headers: keyed });
  assert.equal((await first.json()).size, 11);
  // Although the first try has moved the version on.
  const headers = { ...keyed, "if-match": "1" };
  const again = await append(door, id, { body: " world", headers });
  assert.equal(again.status, 200);
  const answer = await again.json();
  assert.equal(answer.size, 11);
  assert.equal(answer.level, "B");
  assert.deepEqual(answer.holders, [1, 2]);
  assert.equal(await text(door, id), "hello world");

  const cut = { "idempotency-key": "k2" };
  await truncate(door, id, 4, { headers: cut });
  const other = { "idempotency-key": "k3" };
  assert.equal(
    (await modify(door, id, 4, { body: "!", headers: other })).status,
    200,
  );
  assert.equal((await truncate(door, id, 4, { headers: cut })).status, 200);
  assert.equal(
    (await modify(door, id, 4, { body: "!", headers: other })).status,
    200,
  );
  assert.equal(await text(door, id), "hell!");
});

Deno.test("a key of an upload or of another file is refused for a change", async () => {
  const { door, id } = await appender();
  const keyed = { "idempotency-key": "k1" };
  await append(door, id, { body: "1", headers: keyed });
  const second = await appender();
  const two = await door.upload("x", "/v1/files/b.txt?appender=1");
  const used = await append(door, two.id, { body: "1", headers: keyed });
  assert.equal(await slugOf(used), "idempotency-conflict");
  assert.equal(
    (await append(second.door, second.id, {
      body: "1",
      headers: { "idempotency-key": "not visible" },
    })).status,
    400,
  );
});

Deno.test("append puts the body at the end, one version later", async () => {
  const { door, id } = await appender();
  const response = await append(door, id, { body: " world" });
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), {
    id,
    url: `http://node1.test/${id}`,
    size: 11,
    sha256: null,
    level: "B",
    holders: [1, 2],
  });
  const crc = crc32("hello world");
  assert.equal(
    response.headers.get("etag"),
    `"3-2-${crc.toString(16).padStart(8, "0")}"`,
  );
  assert.equal(await text(door, id), "hello world");
  assert.deepEqual(door.replicator.committed.at(-1)?.change.body, {
    kind: "range",
    offset: 5,
    lengthBytes: 6,
    baseEpoch: 3,
    baseVersion: 1,
  });
});

Deno.test("appends through one node are put one after the other", async () => {
  const { door, id } = await appender("");
  const lines = Array.from({ length: 50 }, (_, at) => `line ${at}\n`);
  const answers = await Promise.all(
    lines.map((body) => append(door, id, { body })),
  );
  for (const { status } of answers) assert.equal(status, 200);
  const written = await text(door, id);
  for (const line of lines) assert(written.includes(line), line);
  assert.equal(written.length, lines.join("").length);
  assert.equal(door.files.lookup(id)?.version, 51);
});

Deno.test("a large append is staged and relayed", async () => {
  const { door, id } = await appender();
  const body = new Uint8Array(200_000).fill(65);
  assert.equal((await append(door, id, { body })).status, 200);
  assert.equal(door.files.lookup(id)?.sizeBytes, 200_005);
  assert.equal(door.files.staging.size, 0);
});

Deno.test("If-Match keeps a change from the wrong version", async () => {
  const { door, id } = await appender();
  const etag = (await door.ask(`/${id}`, { method: "HEAD" })).headers.get(
    "etag",
  );
  for (const ifMatch of [etag ?? "", "1", '"1"', "*"]) {
    const copy = await appender();
    const headers = { "if-match": ifMatch };
    const response = await append(copy.door, copy.id, { headers, body: "x" });
    assert.equal(response.status, 200, ifMatch);
  }
  await append(door, id, { body: "x" });
  for (const ifMatch of [etag ?? "", "1", '"1"', '"x"']) {
    const headers = { "if-match": ifMatch };
    const all = [
      append(door, id, { headers, body: "x" }),
      modify(door, id, 0, { headers, body: "x" }),
      truncate(door, id, 0, { headers }),
      setMeta(door, id, "PUT", {}, { headers }),
      change(door, { id, action: "delete" }, { method: "DELETE", headers }),
    ];
    for (const response of await Promise.all(all)) {
      assert.equal(response.status, 412);
      const { version } = await response.json();
      assert.equal(version, 2);
    }
  }
  const headers = { "if-match": "2" };
  const two = [0, 1].map(() => append(door, id, { headers, body: "y" }));
  const statuses = (await Promise.all(two)).map(({ status }) => status);
  assert.deepEqual(statuses.sort(), [200, 412], "only one of two wins");
});

Deno.test("modify replaces a part and may go beyond the end", async () => {
  const { door, id } = await appender("hello");
  assert.equal((await modify(door, id, 1, { body: "a" })).status, 200);
  assert.equal(await text(door, id), "hallo");
  assert.equal((await modify(door, id, 4, { body: "ooo" })).status, 200);
  assert.equal(await text(door, id), "hallooo");
  assert.equal((await modify(door, id, 7, { body: "!" })).status, 200);
  assert.equal(await text(door, id), "hallooo!");
  const beyond = await modify(door, id, 9, { body: "x" });
  assert.equal(beyond.status, 416);
  assert.equal(beyond.headers.get("content-range"), "bytes */8");
  for (const offset of ["-1", "1.5", "", "x", "9".repeat(16)]) {
    const response = await modify(door, id, offset, { body: "x" });
    assert.equal(await slugOf(response), "invalid-request", offset);
  }
});

Deno.test("truncate cuts, or extends with zeros", async () => {
  const { door, id } = await appender("hello");
  assert.equal((await truncate(door, id, 2)).status, 200);
  assert.equal(await text(door, id), "he");
  assert.equal((await truncate(door, id, 4)).status, 200);
  assert.equal(await text(door, id), "he\0\0");
  assert.equal((await truncate(door, id, 0)).status, 200);
  assert.equal(await text(door, id), "");
  assert.equal(door.files.lookup(id)?.crc32, 0);
  door.replicator.groupSettings = { level: "B", fileBytesMax: 10 };
  assert.equal(await slugOf(await truncate(door, id, 11)), "too-large");
  assert.equal((await append(door, id, { body: "0123456789" })).status, 200);
  assert.equal(
    await slugOf(await append(door, id, { body: "x" })),
    "too-large",
  );
});

Deno.test("an immutable file keeps its content", async () => {
  const door = new FakeDoor();
  const { id } = await door.upload("hello");
  const all = [
    append(door, id, { body: "x" }),
    modify(door, id, 0, { body: "x" }),
    truncate(door, id, 0),
  ];
  for (const response of await Promise.all(all)) {
    assert.equal(await slugOf(response), "not-an-appender");
  }
  assert.equal(await text(door, id), "hello");
});

Deno.test("metadata is overwritten or merged", async () => {
  const door = new FakeDoor();
  const { id } = await door.upload("x");
  const put = await setMeta(door, id, "PUT", { a: "1", b: "2" });
  assert.deepEqual(await put.json(), {
    id,
    version: 2,
    meta: { a: "1", b: "2" },
    level: "B",
    holders: [1, 2],
  });
  await setMeta(door, id, "PATCH", { b: null, c: "3" });
  const meta = await door.ask(`/v1/files/${id}/meta`);
  assert.deepEqual(await meta.json(), { a: "1", c: "3" });
  const info = await (await door.ask(`/v1/files/${id}/info`)).json();
  assert.equal(info.version, 3);
  assert.deepEqual(info.meta, { a: "1", c: "3" });
  const etag = (await door.ask(`/${id}`, { method: "HEAD" })).headers.get(
    "etag",
  );
  assert.equal(etag, `"${info.sha256}"`, "the content is the same");
});

Deno.test("metadata has FastDFS's limits", async () => {
  const door = new FakeDoor();
  const { id } = await door.upload("x");
  const bad: unknown[] = [
    null,
    [],
    "x",
    { a: 1 },
    { a: "x".repeat(257) },
    { ["n".repeat(65)]: "x" },
    { "": "x" },
    { a: "\u0001" },
    { a: "é".repeat(129) },
    Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`n${at}`, ""])),
  ];
  for (const meta of bad) {
    const response = await setMeta(door, id, "PUT", meta);
    assert.equal(
      await slugOf(response),
      "invalid-request",
      JSON.stringify(meta),
    );
  }
  const ask = { action: "set-meta", id, path: "/meta" } as const;
  for (const body of ["", "{", "\xff", '{"a":"b"}x']) {
    const response = await change(door, ask, { method: "PUT", body });
    assert.equal(await slugOf(response), "invalid-request", body);
  }
  const long = await change(door, ask, {
    method: "PUT",
    body: "x".repeat(65_537),
  });
  assert.equal(await slugOf(long), "too-large");
  const odd = await change(door, ask, {
    method: "PUT",
    body: '{"__proto__":"x"}',
  });
  assert.equal(odd.status, 200);
  assert.equal(Object.hasOwn({}, "x"), false);
  assert.equal(door.files.lookup(id)?.version, 2);
});

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
  assert.equal(await slugOf(second), "invalid-request");
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
