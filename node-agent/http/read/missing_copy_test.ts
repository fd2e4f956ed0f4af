import assert from "node:assert/strict";
import { Problem } from "@kedge/schema";
import { FakeDoor, slugOf } from "../../../tests/helpers/fake_door.ts";
import { unknownId } from "../../../tests/helpers/fake_ports.ts";
import { LARGE, stored, TEXT } from "../../../tests/helpers/stored_file.ts";

Deno.test("a damaged copy is repaired before it is sent", async () => {
  for (const body of [TEXT, LARGE]) {
    const { door, id, path } = await stored("a.txt", body);
    const good = door.files.stored.get(id);
    assert(good);
    const { entry, bytes } = good;
    door.files.damage(id);
    door.replicator.onFetch = () => door.files.stored.set(id, { entry, bytes });
    door.replicator.outcomes.set(id, { kind: "kept", entry });
    const response = await door.ask(path);
    assert.equal(response.status, 200);
    assert.deepEqual(new Uint8Array(await response.arrayBuffer()), bytes);
    assert.deepEqual(door.replicator.fetched, [id]);
  }
});

Deno.test("a file that cannot be kept here is read from the peer, once", async () => {
  const { door, id, path } = await stored();
  const entry = door.files.lookup(id);
  assert(entry);
  door.replicator.outcomes.set(id, {
    kind: "elsewhere",
    entry,
    node: 2,
    why: "no store path here can be written",
  });
  const there = `http://node2.test${path}`;
  const expectSentOn = async (method: "GET" | "HEAD") => {
    const init = { method, headers: { range: "bytes=2-3" } };
    const response = await door.ask(`${path}?download=a%20b`, init);
    assert.equal(response.status, 307);
    assert.equal(response.headers.get("cache-control"), "no-store");
    const location = response.headers.get("location");
    assert.equal(location, `${there}?download=a%20b&nofwd=1`);
  };
  door.files.damage(id); // known here, bytes wrong
  await expectSentOn("GET");
  const head = await door.ask(path, { method: "HEAD" });
  assert.equal(head.status, 200); // it needs no bytes
  door.files.forget(id); // not known here at all
  await expectSentOn("GET");
  await expectSentOn("HEAD");
  const again = await door.ask(`${path}?nofwd=1`);
  assert.equal(again.status, 503);
  assert.equal(await slugOf(again), "unavailable");
});

Deno.test("a damaged copy that nobody can repair is an error", async () => {
  const outcomes = [
    [{ kind: "absent" }, "damaged"],
    [{ kind: "damaged", why: "no copy is good" }, "damaged"],
    [{ kind: "unavailable", why: "node 2 does not answer" }, "unavailable"],
  ] as const;
  for (const [outcome, slug] of outcomes) {
    const { door, id, path } = await stored();
    door.files.damage(id);
    door.replicator.outcomes.set(id, outcome);
    for (
      const headers of [{}, { range: "bytes=0-1" }, { range: "bytes=0-0,9-9" }]
    ) {
      const response = await door.ask(path, { headers });
      assert.equal(response.status, 503);
      assert.equal(response.headers.get("retry-after"), "1");
      assert.equal(await slugOf(response), slug);
    }
  }
});

Deno.test("a copy that turns out wrong in the middle breaks the body", async () => {
  const { door, path } = await stored("big.bin", LARGE);
  door.files.breakAfterBytes = 100_000;
  for (
    const headers of [{}, { range: "bytes=5-" }, { range: "bytes=0-9,1000-" }]
  ) {
    const response = await door.ask(path, { headers });
    await assert.rejects(response.arrayBuffer(), Problem);
  }
});

Deno.test("a file that is missing here is asked for in the group", async () => {
  const { door, id, path } = await stored();
  const kept = door.files.stored.get(id);
  assert(kept);
  door.files.forget(id);
  const { entry } = kept;
  door.replicator.onFetch = () => door.files.stored.set(id, kept);
  door.replicator.outcomes.set(id, { kind: "kept", entry });
  const both = await Promise.all([door.ask(path), door.ask(path)]);
  for (const response of both) assert.equal(await response.text(), TEXT);
  assert.deepEqual(door.replicator.fetched, [id], "asked once for both");
});

Deno.test("404 is proof, everything less is 503", async () => {
  const door = new FakeDoor();
  const id = unknownId();
  const ask = async () => {
    const response = await door.ask(`/${id}`);
    return `${response.status} ${await slugOf(response)}`;
  };
  assert.equal(await ask(), "404 file-not-found");
  door.replicator.outcomes.set(id, { kind: "tombstone" });
  assert.equal(await ask(), "404 file-not-found");
  door.replicator.outcomes.set(id, { kind: "unavailable", why: "nobody" });
  assert.equal(await ask(), "503 unavailable");
});

Deno.test("a tombstone here is 404 without asking anybody", async () => {
  const { door, id, path } = await stored();
  const cap = { a: "delete", f: id } as const;
  await door.ask(`/v1/files/${id}`, { method: "DELETE", cap });
  assert.equal((await door.ask(path)).status, 404);
  assert.deepEqual(door.replicator.fetched, []);
});

Deno.test("a file of another group is 404 with a hint", async () => {
  const door = new FakeDoor();
  const response = await door.ask(
    `/${unknownId().replace("group1", "group2")}`,
  );
  assert.equal(response.status, 404);
  assert.match((await response.json()).detail, /serves group1; ask .* group2/);
  assert.deepEqual(door.replicator.fetched, []);
});

Deno.test("without the read lease nothing is read", async () => {
  const { door, id, path } = await stored();
  door.replicator.readable = { ok: false, why: "isolated for 20 s" };
  for (const url of [path, `/v1/files/${id}/info`, `/v1/files/${id}/meta`]) {
    const response = await door.ask(url);
    assert.equal(response.status, 503);
    assert.equal((await response.json()).detail, "isolated for 20 s");
  }
});

Deno.test("a node that is not in sync asks before it serves its copy", async () => {
  const { door, id, path } = await stored();
  door.replicator.readable = { ok: true, confirm: true };
  const entry = door.files.lookup(id);
  assert(entry);
  door.replicator.outcomes.set(id, { kind: "kept", entry });
  for (const url of [path, `/v1/files/${id}/info`, `/v1/files/${id}/meta`]) {
    assert.equal((await door.ask(url)).status, 200);
  }
  assert.deepEqual(
    door.replicator.fetched,
    [1, 2, 3].map(() => `confirm ${id}`),
  );
  door.replicator.outcomes.set(id, { kind: "tombstone" });
  assert.equal((await door.ask(path)).status, 404);
  door.replicator.outcomes.set(id, { kind: "unavailable", why: "nobody" });
  assert.equal((await door.ask(path)).status, 503);
  door.replicator.outcomes.set(id, { kind: "absent" });
  assert.equal((await door.ask(path)).status, 503);
});
