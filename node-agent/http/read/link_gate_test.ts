import assert from "node:assert/strict";
import { linkQuery } from "@kedge/schema/download-links";
import { FakeDoor, slugOf } from "../../../tests/helpers/fake_door.ts";

const KEY = { id: "k1", secret: "0123456789abcdef" };
const RULES = {
  schemes: { signed: true, fastdfs: false },
  rules: [],
  ttlS: 900,
  keys: [KEY],
  trustedProxies: [],
};

Deno.test("content, facts and metadata need the link, nothing else does", async () => {
  const door = new FakeDoor({ links: RULES });
  const { id } = await door.upload("hello");
  const query = linkTo(door, id);
  for (
    const path of [`/${id}`, `/v1/files/${id}/info`, `/v1/files/${id}/meta`]
  ) {
    for (const method of ["GET", "HEAD"]) {
      const without = await door.ask(path, { method });
      assert.equal(without.status, 403, `${method} ${path}`);
      assert.equal(await slugOf(without), "bad-link");
      const withIt = await door.ask(`${path}?${query}`, { method });
      assert.equal(withIt.status, 200, `${method} ${path}`);
    }
  }
  // Whether it exists is not said to who has no link.
  const unknown = id.replace(/^group1\/M00\/00/, "group1/M00/01");
  assert.equal((await door.ask(`/${unknown}`)).status, 403);
  assert.equal((await door.ask("/health")).status, 200);
});

Deno.test("what a link showed is kept no longer than it counts", async () => {
  const door = new FakeDoor({ links: RULES });
  const { id } = await door.upload("hello");
  const got = await door.ask(`/${id}?${linkTo(door, id)}`);
  assert.equal(got.headers.get("cache-control"), "private, max-age=600");
  const open = new FakeDoor({ links: { ...RULES, rules: ["group2"] } });
  const other = await open.upload("hello");
  const free = await open.ask(`/${other.id}`);
  assert.match(free.headers.get("cache-control") ?? "", /^public/);
});

Deno.test("X-Forwarded-For counts from a trusted proxy, its last entry", async () => {
  const links = { ...RULES, trustedProxies: ["10.0.0.1"] };
  const door = new FakeDoor({ links });
  const { id } = await door.upload("hello");
  const path = `/${id}?${linkTo(door, id, "192.0.2.7")}`;
  const status = async (from: string, forwarded?: string) => {
    const headers: Record<string, string> = forwarded === undefined
      ? {}
      : { "x-forwarded-for": forwarded };
    return (await door.ask(path, { from, headers })).status;
  };
  assert.equal(await status("192.0.2.7"), 200);
  assert.equal(await status("::ffff:192.0.2.7"), 200);
  assert.equal(await status("192.0.2.8", "192.0.2.7"), 403, "not trusted");
  assert.equal(await status("10.0.0.1", "192.0.2.7"), 200);
  assert.equal(await status("10.0.0.1", "192.0.2.7, 192.0.2.8"), 403);
  assert.equal(await status("10.0.0.1", "192.0.2.8, 192.0.2.7"), 200);
  assert.equal(await status("10.0.0.1", "nonsense"), 403);
});

Deno.test("a refusal never says a secret", async () => {
  const door = new FakeDoor({ links: RULES });
  const { id } = await door.upload("hello");
  const refused = await door.ask(`/${id}?key=k1&expires=1&sig=x`);
  const text = await refused.text();
  assert(!text.includes(KEY.secret));
  assert.match(text, /"reason":"wrong-signature"/);
});

Deno.test("only a trusted proxy is told where a file lies", async () => {
  const links = {
    ...RULES,
    schemes: { signed: false, fastdfs: false },
    trustedProxies: ["10.0.0.1"],
  };
  const door = new FakeDoor({ links });
  const { id } = await door.upload(new Uint8Array(100_000));
  Object.assign(door.files, { isPlain: () => true });
  const headers = { "x-kedge-accel": String(door.node) };
  const trusted = await door.ask(`/${id}`, { from: "10.0.0.1", headers });
  assert.equal(
    trusted.headers.get("x-accel-redirect"),
    `/.kedge/${id}`,
  );
  assert.equal((await trusted.bytes()).length, 0);
  const others = { "x-kedge-accel": "77" };
  const foreign = await door.ask(`/${id}`, {
    from: "10.0.0.1",
    headers: others,
  });
  assert.equal((await foreign.bytes()).length, 100_000, "not its files");
  const stranger = await door.ask(`/${id}`, { from: "10.0.0.2", headers });
  assert.equal(stranger.headers.get("x-accel-redirect"), null);
  assert.equal((await stranger.bytes()).length, 100_000);
});

Deno.test("both tags of a file count, nginx's and ours", async () => {
  const door = new FakeDoor();
  const { id } = await door.upload("hello");
  const { etag, "last-modified": date } = Object.fromEntries(
    (await door.ask(`/${id}`)).headers,
  );
  const nginx = `"${(Date.parse(date ?? "") / 1000).toString(16)}-5"`;
  for (const tag of [etag ?? "", nginx]) {
    const same = await door.ask(`/${id}`, {
      headers: { "if-none-match": tag },
    });
    assert.equal(same.status, 304, tag);
    const headers = { "if-range": tag, range: "bytes=1-2" };
    assert.equal((await door.ask(`/${id}`, { headers })).status, 206, tag);
    const match = await door.ask(`/${id}`, { headers: { "if-match": tag } });
    assert.equal(match.status, 200, tag);
  }
  const other = { headers: { "if-none-match": nginx.replace("-5", "-6") } };
  assert.equal((await door.ask(`/${id}`, other)).status, 200);
});

function linkTo(door: FakeDoor, file: string, ip = ""): string {
  const expiresS = Math.floor(door.clock.wallMs() / 1000) + 600;
  const claims = { file, method: "GET", expiresS, ip, download: "" } as const;
  return linkQuery(KEY, claims);
}
