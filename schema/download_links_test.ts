import assert from "node:assert/strict";
import fc from "fast-check";
import {
  fastdfsToken,
  judgeLink,
  type LinkClaims,
  type LinkKey,
  linkQuery,
  type LinkView,
  parseLinkKeys,
} from "./download_links.ts";

const FILE = "group1/M00/03/4C/fwALAWsCk5WAWO4bABAAANfP0Lc314.bin";
const NOW_S = 1_795_331_045;
const OLD: LinkKey = { id: "k1", secret: "an older secret 1234" };
const NEW: LinkKey = { id: "k2", secret: "a newer secret 12345" };
const MD5: LinkKey = { id: "fastdfs", secret: "FastDFS1234567890" };
const CLAIMS: LinkClaims = {
  file: FILE,
  method: "GET",
  expiresS: NOW_S + 600,
  ip: "",
  download: "",
};

// Computed apart from this code: printf '…' | openssl dgst -sha256 -hmac SECRET
Deno.test("a link is what anybody computes from the published lines", () => {
  assert.equal(
    linkQuery(OLD, CLAIMS),
    "key=k1&expires=1795331645&sig=YGk0yUHxtfpMALv3PxNGXKDJibwl6f94pay4oZO_P_4",
  );
  const bound = { ...CLAIMS, ip: "10.0.0.9", download: "é b.txt" };
  assert.equal(
    linkQuery(NEW, { ...bound, method: "HEAD" }),
    "key=k2&expires=1795331645&sig=aCvlQxzQ1cmoIP3K_nukOm9Hy8UKsNqH8iL9xmcfia8&ip=10.0.0.9" +
      "&method=HEAD&download=%C3%A9%20b.txt",
  );
});

Deno.test("a link counts until its end, and says for how long", () => {
  const query = linkQuery(NEW, CLAIMS);
  assert.deepEqual(judge({ query }), { ok: true, forS: 600 });
  assert.deepEqual(judge({ query, nowS: NOW_S + 600 }), { ok: true, forS: 0 });
  assert.equal(fault({ query, nowS: NOW_S + 601 }), "expired");
  assert.equal(fault({ query, method: "HEAD" }), undefined);
  const years = linkQuery(NEW, { ...CLAIMS, expiresS: NOW_S + 9e8 });
  assert.equal(fault({ query: years }), "not-yet");
});

Deno.test("every key verifies until it is taken away", () => {
  const query = linkQuery(OLD, CLAIMS);
  assert.equal(fault({ query }), undefined);
  assert.equal(fault({ query, keys: [NEW] }), "unknown-key");
  const mixed = query.replace("key=k1", "key=k2");
  assert.equal(fault({ query: mixed }), "wrong-signature");
  // The secret of one scheme is none of the other.
  const own = linkQuery({ ...MD5, id: "fastdfs" }, CLAIMS);
  assert.equal(fault({ query: own }), "unknown-key");
});

Deno.test("nothing can be changed in a link, taken from it or added to it", () => {
  const bound = { ...CLAIMS, ip: "10.0.0.9", download: "a.txt" };
  const query = linkQuery(NEW, { ...bound, method: "HEAD" });
  const at = { address: () => "10.0.0.9", method: "HEAD" };
  assert.equal(fault({ query, ...at }), undefined);
  for (const part of query.split("&")) {
    const rest = query.split("&").filter((one) => one !== part).join("&");
    assert.notEqual(fault({ query: rest, ...at }), undefined, part);
    assert.notEqual(fault({ query: `${query}&${part}`, ...at }), undefined);
  }
  const plain = linkQuery(NEW, CLAIMS);
  for (
    const more of ["ip=10.0.0.9", "download=b", "filename=b", "method=HEAD"]
  ) {
    assert.equal(
      fault({ query: `${plain}&${more}`, ...at }),
      "wrong-signature",
      more,
    );
  }
  const other = FILE.replace("/03/", "/04/");
  assert.equal(fault({ query: plain, file: other }), "wrong-signature");
  assert.equal(fault({ query, ...at, method: "GET" }), "wrong-method");
  const elsewhere = { ...at, address: () => "10.0.0.8" };
  assert.equal(fault({ query, ...elsewhere }), "wrong-address");
});

Deno.test("an address may be spelt in several ways", () => {
  const query = linkQuery(NEW, { ...CLAIMS, ip: "2001:DB8::0:1" });
  assert.equal(fault({ query, address: () => "2001:db8::1" }), undefined);
  const other = { query, address: () => "2001:db8::2" };
  assert.equal(fault(other), "wrong-address");
  assert.equal(fault({ query, address: () => "" }), "wrong-address");
});

Deno.test("FastDFS's tokens count for their time, and no longer", () => {
  const token = (tsS: number, secret = MD5.secret) =>
    `token=${fastdfsToken(FILE, secret, tsS)}&ts=${tsS}`;
  assert.deepEqual(judge({ query: token(NOW_S) }), { ok: true, forS: 900 });
  assert.equal(fault({ query: token(NOW_S - 900) }), undefined);
  assert.equal(fault({ query: token(NOW_S - 901) }), "expired");
  assert.equal(fault({ query: token(NOW_S + 300) }), undefined);
  assert.equal(fault({ query: token(NOW_S + 301) }), "not-yet");
  assert.equal(fault({ query: token(0) }), "expired", "for ever in FastDFS");
  assert.equal(fault({ query: token(NOW_S, "x") }), "wrong-signature");
  const other = FILE.replace("314.bin", "315.bin");
  assert.equal(fault({ query: token(NOW_S), file: other }), "wrong-signature");
  assert.equal(fault({ query: `token=&ts=${NOW_S}` }), "wrong-signature");
  const old = { id: "fastdfs", secret: "x" };
  const keys = [MD5, old];
  assert.equal(fault({ query: token(NOW_S, "x"), keys }), undefined);
});

Deno.test("a scheme that is off is no way in", () => {
  const schemes = { signed: false, fastdfs: false };
  const token = `token=${fastdfsToken(FILE, MD5.secret, NOW_S)}&ts=${NOW_S}`;
  for (const query of [token, linkQuery(NEW, CLAIMS)]) {
    assert.equal(fault({ query, schemes }), "no-link");
  }
  const signed = { signed: true, fastdfs: false };
  assert.equal(fault({ query: token, schemes: signed }), "no-link");
  assert.equal(fault({ query: "" }), "no-link");
});

Deno.test("no text that is not a link is taken for one", () => {
  const pair = fc.tuple(
    fc.constantFrom("key", "expires", "sig", "ip", "token", "ts", "method"),
    fc.string({ maxLength: 50 }),
  );
  fc.assert(fc.property(fc.array(pair), (pairs) => {
    const query = new URLSearchParams(pairs).toString();
    assert.equal(judge({ query }).ok, false, query);
  }));
});

Deno.test("a file of keys: names, comments, and what is wrong without a secret", () => {
  const read = parseLinkKeys("# ours\nk2 0123456789abcdef\n\nfastdfs x\n");
  assert.deepEqual(read, {
    keys: [
      { id: "k2", secret: "0123456789abcdef" },
      { id: "fastdfs", secret: "x" },
    ],
  });
  const wrong = [
    "",
    "k1",
    "k1 hushhush",
    "k1 hushhushhushhush more",
    "k! hushhushhushhush",
    "k1 hushhushhushhush\nk1 hushhushhushhush",
  ];
  for (const text of wrong) {
    const found = parseLinkKeys(text);
    assert("why" in found, text);
    assert(!found.why.includes("hush"), found.why);
  }
});

function judge(change: Partial<LinkView>) {
  return judgeLink({
    file: FILE,
    method: "GET",
    query: "",
    address: () => "127.0.0.1",
    nowS: NOW_S,
    schemes: { signed: true, fastdfs: true },
    keys: [NEW, OLD, MD5],
    ttlS: 900,
    ...change,
  });
}

function fault(change: Partial<LinkView>): string | undefined {
  const verdict = judge(change);
  return verdict.ok ? undefined : verdict.fault;
}
