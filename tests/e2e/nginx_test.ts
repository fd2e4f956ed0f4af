/**
 * Downloads through the distribution's nginx, with the configuration that
 * `kedge nginx-config` prints. 10 s
 *
 * @module
 */

import assert from "node:assert/strict";
import { fastdfsToken, linkQuery } from "@kedge/schema/download-links";
import { isInstalled, run } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import { linkAttacks } from "../helpers/link_attacks.ts";
import { startNginx } from "../helpers/nginx.ts";
import { World } from "../helpers/nginx_world.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { kedgeCommand, type Stack, startStack } from "../helpers/stack.ts";

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

const KEY = { id: "k1", secret: "sixteen-characters-and-more" };
const MD5 = "FastDFS1234567890";

Deno.test({ name: "nginx asks an agent about links", ignore }, async (t) => {
  await using scope = new Scope();
  const env = {
    KEDGE_DOWNLOAD_TOKENS: "both",
    KEDGE_DOWNLOAD_KEYS: `${KEY.id} ${KEY.secret}\nfastdfs ${MD5}\n`,
    KEDGE_DOWNLOAD_TOKEN_PATHS: "!*.css",
  };
  const stack = await startStack(scope, { flags: ["--nginx"], env });
  const nginx = await startNginx(scope, stack, ["--serve", "accel"]);
  const world = new World(stack, nginx);
  const { api } = stack;
  const small = random.bytes(3000);
  const large = random.bytes(300_000);
  const photo = (await api.upload(small, { name: "a.jpg" })).id;
  const film = (await api.upload(large, { name: "b.mp4" })).id;
  const free = (await api.upload(small, { name: "c.css" })).id;
  const nowS = Math.floor(Date.now() / 1000);
  const link = (file: string, more = {}) => {
    const expiresS = nowS + 600;
    const method = "GET" as const;
    const claims = { file, method, expiresS, ip: "", download: "", ...more };
    return `${file}?${linkQuery(KEY, claims)}`;
  };
  const status = async (path: string, headers: Record<string, string> = {}) =>
    (await world.get(path, { headers })).status;

  await t.step("the same answer as from an agent", async () => {
    for (const [id, bytes] of [[photo, small], [film, large]] as const) {
      const own = await world.get(link(id));
      assert.deepEqual([own.status, own.bytes], [200, bytes]);
      const ours = await world.fromAgent(link(id));
      for (const name of [...SAME_HEADERS, "etag"]) {
        if (name === "cache-control") continue;
        assert.equal(own.headers.get(name), ours.headers.get(name), name);
      }
      assert.match(
        own.headers.get("cache-control") ?? "",
        /^private, max-age=\d+$/,
      );
      const etag = own.headers.get("etag") ?? "";
      assert.equal(await status(link(id), { "if-none-match": etag }), 304);
      const range = { range: "bytes=5-9", "if-range": etag };
      const part = await world.get(link(id), { headers: range });
      assert.deepEqual([part.status, part.bytes], [206, bytes.slice(5, 10)]);
      assert.equal(await status(link(id), { "if-match": etag }), 200);
      const head = await world.get(link(id), { method: "HEAD" });
      assert.equal(head.headers.get("content-length"), String(bytes.length));
    }
  });

  await t.step(
    "large files are sent by nginx, small ones by the agent",
    async () => {
      const headers = { "x-kedge-accel": "1" };
      const [base] = world.agents;
      const at = async (id: string) =>
        (await world.get(link(id), { base, headers })).headers
          .get("x-accel-redirect");
      assert.equal(await at(film), `/.kedge/${film}`);
      assert.equal(await at(photo), null);
      assert.equal(
        await status(`.kedge/${film}`),
        404,
        "only agents lead there",
      );
    },
  );

  await t.step(
    "no link, an old one, another file, another client",
    async () => {
      assert.equal(await status(film), 403);
      assert.equal(await status(link(film, { expiresS: nowS - 1 })), 403);
      const [, query] = link(film).split("?");
      assert.equal(await status(`${photo}?${query}`), 403);
      assert.equal(await status(link(film, { ip: "127.0.0.1" })), 200);
      const other = link(film, { ip: "192.0.2.1" });
      assert.equal(await status(other), 403);
      const forged = { "x-forwarded-for": "192.0.2.1", "x-kedge-accel": "1" };
      assert.equal(await status(other, forged), 403);
      const named = link(film, { download: "film.mp4" });
      assert.equal(await status(named), 200);
      assert.equal(await status(named.replace("film.mp4", "x.exe")), 403);
      assert.equal(await status(free), 200, "exempt by its extension");
    },
  );

  await t.step("FastDFS's tokens", async () => {
    const token = (tsS: number) =>
      `${film}?token=${fastdfsToken(film, MD5, tsS)}&ts=${tsS}`;
    assert.equal(await status(token(nowS)), 200);
    assert.equal(await status(token(nowS - 2000)), 403);
    assert.equal(await status(token(0)), 403);
    assert.equal(await status(`${film}?token=x&ts=${nowS}`), 403);
  });

  await t.step("kedge link makes them", async () => {
    const base = ["--base", nginx.url];
    for (const more of [["--expires", "1m"], ["--fastdfs"]]) {
      const command = kedgeCommand(["link", ...base, ...more, film]);
      const { code, stdout, stderr } = await run(command, { env });
      assert.equal(code, 0, stderr);
      const got = await fetch(stdout.trim());
      assert.deepEqual(await got.bytes(), large);
    }
    const doctor = ["doctor", "--json", "--tracker", stack.ready.tracker];
    const well = await run(kedgeCommand(doctor), { env });
    assert.equal(well.code, 0, well.stdout);
    const logged = (await nginx.log()).join("\n");
    assert(!/token=|sig=/.test(logged));
    const told = await Deno.readTextFile(`${stack.data}/log/node-1.log`);
    assert(!told.includes(KEY.secret) && !told.includes(MD5));
  });

  await t.step("nothing gets a file past its link", async () => {
    const direct = await startNginx(scope, stack, ["--serve", "direct"]);
    const [, query = ""] = link(film).split("?");
    const [, other = ""] = link(photo).split("?");
    const [, old = ""] = link(film, { expiresS: nowS - 1 }).split("?");
    const [, head = ""] = link(film, { method: "HEAD" }).split("?");
    const md5 = `token=${fastdfsToken(film, MD5, nowS)}&ts=${nowS}`;
    const { etag = "" } = Object.fromEntries(
      (await world.get(link(film))).headers,
    );
    const tries = linkAttacks({
      ...{ file: film, free, etag, nowS },
      ...{ query, other, old, head, md5 },
      md5Other: `token=${fastdfsToken(photo, MD5, nowS)}&ts=${nowS}`,
    });
    for (const base of [nginx.url, direct.url, ...world.agents]) {
      const own = await world.raw(`GET /${film}?${query} HTTP/1.1`, { base });
      assert.equal(own.status, 200, "the link itself counts");
      assert(own.text.length > 10_000);
      const headOf = `HEAD /${film}?${head} HTTP/1.1`;
      assert.equal((await world.raw(headOf, { base })).status, 200);
      for (const { line, headers } of tries) {
        const { status, text } = await world.raw(line, { base, headers });
        const what = `${base} ${line} ${JSON.stringify(headers)}: ${status}`;
        // Before HTTP/1.0 an answer had no status.
        const isRefused = status >= 400 && status < 500 ||
          Number.isNaN(status) || /^location: /im.test(text);
        assert(isRefused && text.length < 1000, what);
      }
    }
  });

  await t.step("another agent's files are not looked for here", async () => {
    const [agent] = stack.ready.agents;
    assert(agent !== undefined);
    Deno.kill(agent.pid, "SIGKILL");
    const got = await world.get(link(film));
    assert.deepEqual([got.status, got.bytes], [200, large]);
  });
});

const SAME_HEADERS = [
  "content-type",
  "content-length",
  "cache-control",
  "last-modified",
  "accept-ranges",
  "x-content-type-options",
  "content-security-policy",
  "access-control-allow-origin",
  "access-control-expose-headers",
];

/** A file that node 1 cannot have yet. */
async function uploadedAtTwo(
  { api }: Stack,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const options = { name: "late.jpg", level: "A" } as const;
  return (await api.uploadAt(2, bytes, options)).id;
}
