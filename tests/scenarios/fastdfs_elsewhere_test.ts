/**
 * FastDFS's clients cannot be sent on: what another member must do, or alone
 * has, is asked of it through its HTTP door.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { FileEntry } from "@kedge/schema/change";
import { verifyCapability } from "@kedge/schema/capability";
import { unknownId } from "../helpers/fake_ports.ts";
import { TestGateway } from "../helpers/fastdfs_gateway.ts";
import {
  downloadBody,
  field,
  idIn,
  named,
  nameOf,
  u64,
} from "../helpers/fastdfs_raw.ts";
import { Scope } from "../helpers/scope.ts";

/** What a peer was asked. */
interface Asked {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string;
}

/** Fails when whoever asked has given up. */
function givenUp(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => reject(signal.reason));
  return promise;
}

/** A gateway whose peer, node 2, answers as it is told, and notes what it was asked. */
function withPeer(scope: Scope, answer: () => Response | Promise<Response>) {
  const asked: Asked[] = [];
  const made = TestGateway.open(scope, {
    limits: { peerSilentMs: 50 },
    fetchPeer: async (url, init) => {
      const request = new Request(url, init);
      asked.push({
        url,
        method: request.method,
        headers: request.headers,
        body: await request.text(),
      });
      return await Promise.race([answer(), givenUp(request.signal)]);
    },
  });
  return { made, asked };
}

/** An appender file that node 2 made. */
function foreign(made: TestGateway): string {
  const id = unknownId();
  const entry: FileEntry = {
    id,
    state: "present",
    epoch: 3,
    version: 1,
    origin: 2,
    sizeBytes: 4,
    crc32: 1,
    sha256: null,
    type: null,
    name: null,
    meta: {},
    createdS: 1,
    appender: true,
    master: null,
  };
  const bytes = new TextEncoder().encode("four");
  made.door.files.stored.set(id, { entry, bytes });
  return id;
}

Deno.test("fastdfs: changes of a file of another owner are made there", async () => {
  await using scope = new Scope();
  const newId = unknownId(7);
  const { made, asked } = withPeer(scope, () =>
    Response.json({
      ...{ id: newId, url: "http://node2.test/x", size: 4, sha256: null },
      ...{ level: "B", holders: [1, 2] },
    }, { status: 201 }));
  const id = foreign(made);
  const name = nameOf(id);
  using storage = await made.storage();
  const sizes = [u64(name.length), u64(3)];
  const append = Buffer.concat([...sizes, name, Buffer.from("end")]);
  assert.equal((await storage.call(24, append)).status, 0);
  const modify = Buffer.concat([
    ...[u64(name.length), u64(2), u64(3), name, Buffer.from("mid")],
  ]);
  assert.equal((await storage.call(34, modify)).status, 0);
  const truncate = Buffer.concat([...sizes, name]);
  assert.equal((await storage.call(36, truncate)).status, 0);
  const meta = Buffer.concat([
    ...[u64(name.length), u64(3), Buffer.from("M"), named(id)],
    Buffer.from("a\x021"),
  ]);
  assert.equal((await storage.call(13, meta)).status, 0);
  const slave = Buffer.concat([
    ...[...sizes, field("_s", 16), field("jpg", 6), name],
    Buffer.from("pic"),
  ]);
  assert.equal((await storage.call(21, slave)).status, 0);
  const regenerated = await storage.call(38, name);
  assert.equal(idIn(regenerated.body), newId);

  const at = `http://node2.test/v1/files/${id}`;
  assert.deepEqual(
    asked.map(({ method, url, body }) => [method, url.replace(at, ""), body]),
    [
      ["POST", "/append", "end"],
      ["PUT", "/content?offset=2", "mid"],
      ["POST", "/truncate?size=3", ""],
      ["PATCH", "/meta", '{"a":"1"}'],
      ["POST", "/derived?prefix=_s&ext=jpg", "pic"],
      ["POST", "/regenerate", ""],
    ],
  );
  const actions = asked.map(({ headers }) => {
    const text = headers.get("authorization")?.replace("Kedge ", "") ?? "";
    const { door } = made;
    const verified = verifyCapability(text, [door.key], door.clock.wallMs());
    assert(verified.ok);
    const { a, f, n } = verified.claims;
    assert.deepEqual([f, n], [id, 2], "for this file at this node alone");
    return a;
  });
  assert.deepEqual(actions, [
    ...["append", "modify", "truncate", "set-meta", "derive", "modify"],
  ]);
});

Deno.test("fastdfs: the refusal of an owner is that of the gateway", async () => {
  await using scope = new Scope();
  let answer = () => new Response("no JSON", { status: 502 });
  const { made } = withPeer(scope, () => answer());
  const name = nameOf(foreign(made));
  const append = Buffer.concat([
    ...[u64(name.length), u64(1), name, Buffer.from("x")],
  ]);
  const status = async () => {
    using storage = await made.storage();
    return (await storage.call(24, append)).status;
  };
  assert.equal(await status(), 11);
  answer = () =>
    new Response(null, { status: 307, headers: { location: "http://x.test" } });
  assert.equal(await status(), 11, "it is the owner no more");
  const problem = (slug: string) => () =>
    Response.json({ type: `/problems/${slug}`, detail: "no" }, { status: 507 });
  answer = problem("insufficient-storage");
  assert.equal(await status(), 28);
  answer = problem("toString");
  assert.equal(await status(), 11, "no problem of ours");
  answer = () => {
    throw new TypeError("the connection broke");
  };
  assert.equal(await status(), 110, "it may have been made");
});

Deno.test("fastdfs: a file that cannot be kept here is read where it is", async () => {
  await using scope = new Scope();
  let answer = () => new Response("fo", { status: 206 });
  const { made, asked } = withPeer(scope, () => answer());
  const id = unknownId(3);
  foreign(made);
  const { entry } = made.door.files.stored.get(unknownId()) ?? {};
  assert(entry !== undefined);
  made.door.replicator.outcomes.set(id, {
    kind: "elsewhere",
    entry: { ...entry, id },
    node: 2,
    why: "the disk is full",
  });
  using storage = await made.storage();
  const part = await storage.call(14, downloadBody(id, 0, 2));
  assert.deepEqual([part.status, String(part.body)], [0, "fo"]);
  assert.equal(asked[0]?.url, `http://node2.test/${id}?nofwd=1`);
  assert.equal(asked[0]?.headers.get("range"), "bytes=0-1");
  answer = () => new Response("", { status: 503 });
  assert.equal((await storage.call(14, downloadBody(id))).status, 11);
});

Deno.test("fastdfs: a peer that hangs is given up, and what is uncertain is told", async () => {
  await using scope = new Scope();
  const hangs = new Promise<Response>(() => {});
  let answer = () => hangs;
  const { made } = withPeer(scope, () => answer());
  const id = foreign(made);
  const name = nameOf(id);
  const append = Buffer.concat([
    ...[u64(name.length), u64(1), name, Buffer.from("x")],
  ]);
  using storage = await made.storage();
  assert.equal((await storage.call(24, append)).status, 110);

  const { entry } = made.door.files.stored.get(id) ?? {};
  assert(entry !== undefined);
  const away = unknownId(3);
  made.door.replicator.outcomes.set(away, {
    kind: "elsewhere",
    entry: { ...entry, id: away },
    node: 2,
    why: "the disk is full",
  });
  assert.equal((await storage.call(14, downloadBody(away))).status, 11);
  // It began, and then hangs: the client must not take what came for the file.
  answer = () =>
    Promise.resolve(
      new Response(
        new ReadableStream({
          start: (to) => to.enqueue(new TextEncoder().encode("fo")),
        }),
      ),
    );
  await assert.rejects(storage.call(14, downloadBody(away)));
});
