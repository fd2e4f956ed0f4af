/** `kedge download` against a fake cluster. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type Arrived, FakeCluster, problem } from "./testdata/fake_cluster.ts";
import { ID, scene, write } from "./testdata/files_scene.ts";

Deno.test("kedge download writes the file under its original name", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "content", "../../evil/photo.jpg");
    const { code, out } = await kedge(["download", "-o", dir, ID]);
    assert.equal(code, 0);
    assert.equal(out, `${join(dir, "photo.jpg")}\t7 B\n`);
    assert.equal(await Deno.readTextFile(join(dir, "photo.jpg")), "content");
    assert.deepEqual([...Deno.readDirSync(dir)].length, 1, "no partial file");
  }));

Deno.test("kedge download goes on where a broken answer stopped", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "0123456789");
    let isFirst = true;
    cluster.intercept = (request) => {
      if (!isContent(request) || !isFirst) return;
      isFirst = false;
      return broken("0123", etagOf(cluster));
    };
    const target = join(dir, "out");
    const { code, err } = await kedge(["download", "-o", target, ID]);
    assert.equal(code, 0, err);
    assert.equal(await Deno.readTextFile(target), "0123456789");
    const ranges = cluster.arrived.filter(isContent)
      .map(({ headers }) => headers.get("range"));
    assert.equal(ranges.at(-1), "bytes=4-");
  }));

Deno.test("kedge download resumes in the next run, on condition", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "0123456789");
    const etag = etagOf(cluster);
    const target = join(dir, "out");
    cluster.intercept = (request) =>
      isContent(request) ? broken("0123", etag, request) : undefined;
    const first = await kedge(["download", "-o", target, ID]);
    assert.notEqual(first.code, 0);
    await assert.rejects(Deno.stat(target), "no half file has the name");

    cluster.intercept = () => undefined;
    cluster.arrived.length = 0;
    const second = await kedge(["download", "-o", target, ID]);
    assert.equal(second.code, 0, second.err);
    assert.equal(await Deno.readTextFile(target), "0123456789");
    const [request] = cluster.arrived.filter(isContent);
    assert.equal(request?.headers.get("if-range"), etag);
    assert.match(request?.headers.get("range") ?? "", /^bytes=[1-9]\d*-$/);
  }));

Deno.test("kedge download begins again when the content changed", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "0123456789");
    const target = join(dir, "out");
    const etag = etagOf(cluster);
    cluster.intercept = (request) =>
      isContent(request) ? broken("0123", etag, request) : undefined;
    await kedge(["download", "-o", target, ID]);
    cluster.intercept = () => undefined;
    cluster.put(ID, "abcdefghij");
    const { code, err } = await kedge(["download", "-o", target, ID]);
    assert.equal(code, 0, err);
    assert.equal(await Deno.readTextFile(target), "abcdefghij");
  }));

Deno.test("kedge download never names wrong bytes as the file", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "0123456789");
    cluster.intercept = (request) =>
      isContent(request) ? new Response("012345678X") : undefined;
    const target = join(dir, "out");
    const { code, err } = await kedge(["download", "-o", target, ID]);
    assert.equal(code, 1);
    assert.match(err, /checksum/);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }));

Deno.test("kedge download tries the other replicas", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "content");
    cluster.intercept = (request) =>
      isContent(request) && request.host !== "node-2.test"
        ? problem(503, "damaged", "the copy is damaged")
        : undefined;
    const target = join(dir, "out");
    const { code } = await kedge(["download", "-o", target, ID]);
    assert.equal(code, 0);
    assert.equal(await Deno.readTextFile(target), "content");
  }));

Deno.test("kedge download does not overwrite without --force", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "new");
    const target = await write(dir, "out", "old");
    const refused = await kedge(["download", "-o", target, ID]);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /exists already[^]*--force/);
    assert.equal(await Deno.readTextFile(target), "old");
    assert.equal((await kedge(["download", "-f", "-o", target, ID])).code, 0);
    assert.equal(await Deno.readTextFile(target), "new");
  }));

Deno.test("kedge download -o - writes the bytes and nothing else", () =>
  scene(async ({ cluster, kedge }) => {
    cluster.put(ID, "content");
    const { code, out } = await kedge(["download", "-o", "-", ID]);
    assert.equal(code, 0);
    assert.equal(out, "content");
  }));

function isContent({ method, path }: Arrived): boolean {
  return method === "GET" && path.startsWith(`/${ID}`);
}

function etagOf(cluster: FakeCluster): string {
  void cluster;
  // First 16 digits of the SHA-256 of "0123456789".
  return '"84d89877f0d4041e"';
}

/** An answer that breaks off after some text. */
function broken(text: string, etag: string, request?: Arrived): Response {
  const from = /^bytes=(\d+)-/.exec(request?.headers.get("range") ?? "")?.[1];
  if (from !== undefined) return problem(503, "unavailable", "later");
  let sent = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent) return controller.error(new TypeError("connection reset"));
      sent = true;
      controller.enqueue(new TextEncoder().encode(text));
    },
  });
  return new Response(body, { headers: { etag } });
}
