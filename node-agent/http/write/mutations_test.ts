import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { FakeDoor, slugOf } from "../../../tests/helpers/fake_door.ts";
import {
  append,
  appender,
  change,
  modify,
  setMeta,
  text,
  truncate,
} from "../../../tests/helpers/door_changes.ts";

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
