import assert from "node:assert/strict";
import { hosts, resource } from "./conf_fixture.ts";
import { ParseError } from "./errors.ts";
import { parseDrbdConf, parseDrbdText } from "./parse.ts";
import { filesFrom } from "./tutorial_fixture.ts";

/** First line of the refusal; `""` if there is none. */
function refusalOf(text: string): string {
  try {
    parseDrbdText(text, { file: "f" });
    return "";
  } catch (error) {
    assert.ok(error instanceof ParseError);
    return error.message.split("\n")[0] ?? "";
  }
}

Deno.test("parseDrbdText() refuses with file, line, and what was expected", () => {
  const cases: [string, string][] = [
    [
      "foo",
      "f:1: Parse error: 'global | common | resource | skip | include' expected,",
    ],
    ["resource {", "f:1: Parse error: 'TK_STRING' expected,"],
    ["\nresource on { }", "f:2: Parse error: 'TK_STRING' expected,"],
    [
      "resource a/b { }",
      "f:1: resource name 'a/b' must consist of letters, digits, '.', '_' and '-'",
    ],
    [
      resource("net { timeout 0; }"),
      "f:2: Parse error: while parsing value ('0')",
    ],
    [
      resource("net { timeout abc; }"),
      "f:2: Parse error: while parsing value ('abc')",
    ],
    [
      resource("net { timeout; }"),
      "f:2: Parse error: 'value for timeout' expected,",
    ],
    [resource("net { protocol C }"), "f:2: Parse error: ';' expected,"],
    [
      resource("net { protocol D; }"),
      "f:2: Parse error: while parsing value ('D')",
    ],
    [
      resource("disk { verify-alg sha1; }"),
      "f:2: Parse error: 'an option keyword' expected,",
    ],
    [
      resource("syncer { timeout 5; }"),
      "f:2: Parse error: 'a syncer option keyword' expected,",
    ],
    [
      resource("handlers { frob x; }"),
      "f:2: Parse error: 'an option keyword' expected,",
    ],
    [
      resource("net { } net { }"),
      "f:2: conflicting use of net section 'r0:net' ...",
    ],
    [
      resource("protocol A; protocol A;"),
      "f:2: conflicting use of protocol statement 'r0: protocol' ...",
    ],
    [
      resource("device minor 3; device minor 4;"),
      "f:2: conflicting use of device statement 'r0:device' ...",
    ],
    [
      resource("device /dev/sda;"),
      "f:2: device name must start with /dev/drbd",
    ],
    [
      resource("device /dev/drbd/../../etc minor 1;"),
      "f:2: device name must start with /dev/drbd",
    ],
    [
      resource("device /dev/drbd_x;"),
      "f:2: no minor given nor device name contains a minor number",
    ],
    [
      resource("device minor 1048576;"),
      "f:2: minor 1048576 => 1048576 out of range [0..1048575].",
    ],
    [
      resource(`on carol { address [::1]:1; }`),
      "f:2: Parse error: 'ssocks | sdp | ipv4 | ipv6 | <ipv4 address> ' expected,",
    ],
    [
      resource(`on carol { address ipv6 [::g]:1; }`),
      "f:2: Parse error: 'TK_IPADDR6' expected,",
    ],
    [
      resource(`on carol { address 1.2.3.256:1; }`),
      "f:2: Parse error: 'ssocks | sdp | ipv4 | ipv6 | <ipv4 address> ' expected,",
    ],
    [
      resource("on alice { }"),
      "f:3: conflicting use of host section 'r0: on alice' ...",
    ],
    [
      "common { } common { }",
      "f:1: conflicting use of resource section 'common' ...",
    ],
    [
      "global { } global { }",
      "f:1: conflicting use of global section 'global' ...",
    ],
    [
      "global { usage-count maybe; }",
      "f:1: Parse error: 'yes | no | ask' expected,",
    ],
    ["skip { {", "f:1: Parse error: '}' of this section is missing"],
    ["skip ;", "f:1: Parse error: '[ some_text ] {' expected,"],
    ['include "x";', "f:1: Failed to open include file 'x'."],
    [
      "resource r { on a { device minor 1;",
      "f:1: Parse error: 'disk | device | address | meta-disk | flexible-meta-disk' expected,",
    ],
  ];
  for (const [text, expected] of cases) {
    assert.equal(refusalOf(text), expected, text);
  }
});

Deno.test("parseDrbdText() takes older spellings and other layouts", () => {
  const same = [
    "net { protocol B; } disk { resync-rate 5M; disk-flushes no; } handlers { fence-peer /bin/true; }",
    'protocol B; syncer { rate 5M; } disk { no-disk-flushes; } handlers { outdate-peer "/bin/true"; }',
    'protocol b;syncer{rate"5M";}disk{disk-flushes"no";}' +
    'handlers{"fence-peer""/bin/true";}',
  ].map((text) => parseDrbdText(resource(text)).resources[0]?.sections);
  const values = same.map((sections) => ({
    protocol: sections?.net?.map(({ values }) => values),
    rate: sections?.disk?.find(({ name }) => name === "resync-rate")?.values,
    handler: sections?.handlers?.map(({ name, values }) => [name, values]),
  }));
  for (const value of values) assert.deepEqual(value, values[0]);
  assert.deepEqual(values[0]?.handler, [["fence-peer", ["/bin/true"]]]);
});

Deno.test("parseDrbdConf() includes globs in order, relative to the including file", () => {
  const conf = parseDrbdConf(
    "/etc/drbd.conf",
    filesFrom({
      "/etc/drbd.conf": 'include "d/*.res";\ninclude "none/*.res";',
      "/etc/d/b.res": `resource b { ${hosts(2)} }`,
      "/etc/d/a.res": `include "c.inc";\nresource a { ${hosts(1)} }`,
      "/etc/d/c.inc": `resource c { ${hosts(3)} }`,
    }),
  );
  assert.deepEqual(conf.files, [
    "/etc/drbd.conf",
    "/etc/d/a.res",
    "/etc/d/c.inc",
    "/etc/d/b.res",
  ]);
  assert.deepEqual(conf.resources.map(({ name }) => name), ["c", "a", "b"]);
});

Deno.test("parseDrbdConf() reads each file once, also in a circle", () => {
  const conf = parseDrbdConf(
    "a",
    filesFrom({
      a: `include "b"; include "b"; resource r { ${hosts()} }`,
      b: 'include "a";',
    }),
  );
  assert.deepEqual(conf.files, ["a", "b"]);
});

Deno.test("parseDrbdConf() bounds the depth of includes and the size of files", () => {
  const files = Object.fromEntries(
    Array.from({ length: 20 }, (_, i) => [`f${i}`, `include f${i + 1};`]),
  );
  assert.throws(
    () => parseDrbdConf("f0", filesFrom(files)),
    /^ParseError: f10:1: include depth exceeded 10$/,
  );
  assert.throws(
    () => parseDrbdText("#".repeat(2 ** 20 + 1)),
    /more than 1048576 characters/,
  );
});

Deno.test("parseDrbdConf() refuses a first file that is not there", () => {
  assert.throws(
    () => parseDrbdConf("x", () => []),
    /^ParseError: x:0: Can not open 'x'\.$/,
  );
});

Deno.test("prose is skipped only where no statement can be meant", () => {
  const host = (rest: string) =>
    `resource r { on alice { device minor 1; disk /dev/a;${rest}\n` +
    "meta-disk internal; address 10.1.1.31:7789; } }";
  assert.equal(refusalOf(host(' 盘 "mysql')), "");
  assert.equal(refusalOf(host(" words # and; more")), "");
  const refused =
    "f:1: Parse error: 'disk | device | address | meta-disk | flexible-meta-disk' expected,";
  assert.equal(refusalOf(host(" met-disk /dev/m;")), refused);
  assert.equal(refusalOf(host(" volume2 { }")), refused);
  assert.equal(refusalOf(host("\nwords")), refused.replace("f:1", "f:2"));
});
