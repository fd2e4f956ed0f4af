/**
 * Downloads through the distribution's nginx, with the configuration that
 * `kedge nginx-config` prints. 10 s
 *
 * @module
 */

import assert from "node:assert/strict";
import { isInstalled } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import { startNginx } from "../helpers/nginx.ts";
import { SAME_HEADERS, World } from "../helpers/nginx_world.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { type Stack, startStack } from "../helpers/stack.ts";

const ignore = !await isInstalled("nginx");
if (ignore) say("SKIPPED nginx: it is not installed");

const random = new Random(seedOfRun("nginx"));

Deno.test({ name: "nginx serves from the disk", ignore }, async (t) => {
  await using scope = new Scope();
  const stack = await startStack(scope, { flags: ["--nginx"] });
  const nginx = await startNginx(scope, stack);
  const world = new World(stack, nginx);
  const { api } = stack;
  const small = random.bytes(3000);
  const large = random.bytes(300_000);
  const photo = (await api.upload(small, { name: "a.jpg" })).id;
  const page = (await api.upload(large, { name: "b.html" })).id;

  await t.step("the same bytes and headers as from an agent", async () => {
    for (const [id, bytes] of [[photo, small], [page, large]] as const) {
      const [own, ours] = [await world.get(id), await world.fromAgent(id)];
      assert.equal(own.status, 200);
      assert.deepEqual(own.bytes, bytes);
      for (const name of SAME_HEADERS) {
        assert.equal(own.headers.get(name), ours.headers.get(name), name);
      }
      assert.equal(await world.servedBy(id), "disk");
      const head = await world.get(id, { method: "HEAD" });
      assert.equal(head.headers.get("content-length"), String(bytes.length));
    }
    const bare = photo.slice("group1/".length);
    assert.deepEqual((await world.get(bare)).bytes, small, "without a group");
    // Scripts of an uploader do not run in the origin of the downloads.
    assert.match(
      (await world.get(page)).headers.get("content-disposition") ?? "",
      /^attachment; filename="/,
    );
    assert.equal(
      (await world.get(photo)).headers.get("content-disposition"),
      null,
    );
  });

  await t.step("ranges and conditions", async () => {
    const range = (value: string, more: Record<string, string> = {}) =>
      world.get(photo, { headers: { range: value, ...more } });
    const first = await range("bytes=0-0");
    assert.equal(first.status, 206, "FastDFS's module sends the whole file");
    assert.deepEqual(first.bytes, small.slice(0, 1));
    assert.deepEqual((await range("bytes=-10")).bytes, small.slice(-10));
    assert.equal((await range("bytes=9999-")).status, 416);
    assert.match(
      (await range("bytes=0-0,5-6")).headers.get("content-type") ?? "",
      /^multipart\/byteranges/,
    );
    const tags = [
      (await world.get(photo)).headers.get("etag") ?? "",
      (await world.fromAgent(photo)).headers.get("etag") ?? "",
    ];
    assert.notEqual(tags[0], tags[1]);
    for (const base of [nginx.url, ...world.agents]) {
      for (const tag of tags) {
        const same = await world.get(photo, {
          headers: { "if-none-match": tag },
          base,
        });
        assert.equal(same.status, 304, `${base} ${tag}`);
        const headers = { range: "bytes=1-2", "if-range": tag };
        assert.equal((await world.get(photo, { headers, base })).status, 206);
      }
      const headers = { "if-none-match": '"x"' };
      assert.equal((await world.get(photo, { headers, base })).status, 200);
    }
    const date = (await world.fromAgent(photo)).headers.get("last-modified");
    const since = { headers: { "if-modified-since": date ?? "" } };
    assert.equal((await world.get(photo, since)).status, 304);
  });

  await t.step(
    "what may change, and other names, come from an agent",
    async () => {
      const one = new TextEncoder().encode("one,");
      const { id } = await api.upload(one, { name: "log.txt", appender: true });
      assert.deepEqual((await world.get(id)).bytes, one);
      await api.append(id, one);
      const got = await world.get(id);
      assert.equal(new TextDecoder().decode(got.bytes), "one,one,");
      assert.equal(got.headers.get("cache-control"), "no-cache");
      assert.equal(await world.servedBy(id), "agent");
      const named = await world.get(`${photo}?download=x.jpg`);
      assert.match(
        named.headers.get("content-disposition") ?? "",
        /filename="x\.jpg"/,
      );
      const fastdfs = await world.get(`${photo}?filename=y.jpg`);
      assert.match(
        fastdfs.headers.get("content-disposition") ?? "",
        /filename="y\.jpg"/,
      );
    },
  );

  await t.step("a delete that is acknowledged holds at once", async () => {
    for (let i = 0; i < 20; i++) {
      const body = i % 2 === 0 ? small : large;
      const { id } = await api.upload(body, { name: "d.png" });
      assert.equal((await world.get(id)).status, 200);
      await api.remove(id);
      assert.equal((await world.get(id)).status, 404, `delete ${i}`);
    }
  });

  await t.step("nothing but files, and nobody writes", async () => {
    const data = `${stack.data}/node-1`;
    const [name = ""] = photo.split("/").slice(-1);
    const inside = photo.slice("group1/".length);
    const tries = [
      "/group1/M00/../../agent.json",
      "/group1/M00/%2e%2e/%2e%2e/agent.json",
      "/group1/M00/00/00/..%2f..%2f.kedge-path",
      "/group1/M00/.kedge-path",
      "/group1/M00/.tmp/",
      `/group1/M00/.tmp/${name}`,
      `/group1/M00/00/00/.${name.slice(1)}`,
      `/group1/M01/00/00/${name}`,
      `/group1/M00/00/00/${name}/`,
      `/group1/M00/00/00/${name}%00.jpg`,
      `/group1/M00/00/../00/${name}x`,
      `/paths/${inside}`,
      `/.kedge/${photo}`,
      `//${photo}`,
      `/group1//${inside}`,
      `/group2/${inside}`,
      "/damaged/x",
      "/v1/node",
      `/v1/files/${photo}/meta`,
      "/",
    ];
    for (const path of tries) {
      const { status } = await world.raw(`GET ${path} HTTP/1.1`);
      assert(status === 400 || status === 404, `${path}: ${status}`);
    }
    for (const method of ["PUT", "POST", "DELETE", "PATCH", "TRACE"]) {
      const { status } = await world.raw(`${method} /${photo} HTTP/1.1`);
      assert(status === 403 || status === 405, `${method}: ${status}`);
    }
    assert.equal((await world.get(photo)).status, 200);
    // Somebody puts a file there that is none of ours.
    await Deno.writeTextFile(`${data}/store/data/passwd.txt`, "x");
    assert.equal((await world.get("group1/M00/passwd.txt")).status, 400);
  });

  await t.step("a copy that is known to be bad is not served", async () => {
    const { id } = await api.upload(large, { name: "bad.jpg" });
    for (const node of [1, 2]) await world.spoil(node, id);
    for (const base of world.agents) {
      assert.equal((await world.get(id, { base })).status, 503, base);
    }
    await eventually(async () => (await world.get(id)).status === 503, {
      what: "nginx to serve the bad copy no more",
    });
  });

  await t.step("a replica that has not heard of the file yet", async () => {
    // Level A sends records on after some ms: nginx asks before that.
    await eventually(async () => {
      const late = await uploadedAtTwo(stack, small);
      const got = await world.get(late);
      assert.deepEqual([got.status, got.bytes], [200, small]);
      await eventually(async () => await world.servedBy(late) === "disk", {
        what: "the copy to come",
      });
      return world.senderOf(got) === "agent";
    }, { what: "a read before the copy is there" });
  });

  await t.step(
    "a replica that lacks the file, and one that is dead",
    async () => {
      const [agent] = stack.ready.agents;
      assert(agent !== undefined);
      await Deno.remove(world.pathOf(1, page));
      assert.deepEqual((await world.get(page)).bytes, large);
      await eventually(async () => await world.servedBy(page) === "disk", {
        what: "the file to be fetched again",
      });

      Deno.kill(agent.pid, "SIGKILL");
      const late = await uploadedAtTwo(stack, small);
      // Node 1 never heard of it; nginx would find the other files on its disk.
      const got = await world.get(late);
      assert.deepEqual([got.status, got.bytes], [200, small]);
      await eventually(async () => {
        for (const id of [late, photo, page]) {
          assert.equal((await world.get(id)).status, 200, id);
        }
        return await world.servedBy(late) === "disk" &&
          await world.servedBy(photo) === "disk";
      }, { what: "node 1 to be back", pauseMs: 200 });
    },
  );

  await t.step("the log has no queries", async () => {
    const log = (await nginx.log()).join("\n");
    assert(log.includes(photo));
    assert(!log.includes("download="), log);
  });
});

/** A file that node 1 cannot have yet. */
async function uploadedAtTwo(
  { api }: Stack,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const options = { name: "late.jpg", level: "A" } as const;
  return (await api.uploadAt(2, bytes, options)).id;
}
