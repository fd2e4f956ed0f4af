import assert from "node:assert/strict";
import { hosts, resource } from "./conf_fixture.ts";
import { formatFinding, type WarningCode } from "./errors.ts";
import { parseDrbdText } from "./parse.ts";

const side = (name: string, body: string) => `on ${name} { ${body} }`;
const A = "device minor 1; disk /dev/a; address 10.1.1.31:7789;";
const B = "device minor 1; disk /dev/a; address 10.1.1.32:7789;";

Deno.test("checkConf() refuses what no DRBD takes", () => {
  const cases: [string, RegExp][] = [
    [
      `resource r { ${side("a", A)} ${side("b", B.replace(/address.*/, ""))} }`,
      /^f:1: in resource r, on b \{ \.\.\. \}: 'address' keyword missing\.$/,
    ],
    [
      `resource r { ${side("a", A)} ${side("b", "address 10.1.1.32:1;")} }`,
      /volume 0 not defined on b/,
    ],
    [
      `resource r { ${side("a", A)} ${
        side("b", "meta-disk internal; device minor 1; address 10.1.1.32:1;")
      } }`,
      /on b \{ \.\.\. \}: 'disk' keyword missing/,
    ],
    [
      `resource r { ${side("a", `node-id 1; ${A}`)} ${side("b", B)} }`,
      /on b \{ \.\.\. \}: 'node-id' keyword missing/,
    ],
    [
      `resource r { ${side("a", `node-id 1; ${A}`)} ${
        side("b", `node-id 1; ${B}`)
      } }`,
      /conflicting use of node-id 'r:1'/,
    ],
    [
      `resource r { disk /dev/x; volume 1 { device minor 3; } ${hosts()} }`,
      /you must not mix implicit and explicit volumes/,
    ],
    [
      `resource r { ${side("a", A)} ${side("b", A)} }`,
      /conflicting use of IP '10\.1\.1\.31:7789'/,
    ],
    [
      `resource r { ${hosts(1)} }\nresource s { ${
        hosts(2).replaceAll("minor 2", "minor 1")
      } }`,
      /conflicting use of device-minor 'device-minor:alice:1'/,
    ],
    [
      `resource r { meta-disk /dev/m[0]; ${side("a", A)} ${side("b", B)} }
      resource s { ${
        hosts(2).replaceAll("internal", "/dev/m[0]").replaceAll(
          "on alice",
          "on a",
        )
      } }`,
      /conflicting use of meta-disk 'a:\/dev\/m\[0\]'/,
    ],
    [
      `resource r { stacked-on-top-of s { device minor 9; address 10.1.1.1:1; } ${
        side("c", B)
      } }`,
      /referenced resource 's' not defined/,
    ],
    [
      `resource r { ${hosts()} connection-mesh { hosts alice carol; } }`,
      /'carol' is in no 'on' section/,
    ],
    [
      `resource r { ${hosts()} connection { host alice; } }`,
      /a connection needs two hosts/,
    ],
    [
      `resource r { ${hosts()} connection { host alice; host bob; host bob; } }`,
      /only two 'host' keywords per connection allowed/,
    ],
  ];
  for (const [text, expected] of cases) {
    assert.throws(() => parseDrbdText(text, { file: "f" }), (error) => {
      assert.match(
        String(error).replace("ParseError: ", "").split("\n")[0] ?? "",
        expected,
        text,
      );
      return true;
    });
  }
});

Deno.test("checkConf() warns of what is found late, in vain, or by accident", () => {
  const cases: [string, WarningCode, boolean, RegExp][] = [
    [
      resource("disk { al-extents 66; }"),
      "bad-value",
      true,
      /^f:2: al-extents 66 is out of range/,
    ],
    [
      resource("disk { on-io-error explode; }"),
      "bad-value",
      true,
      /explode is not known/,
    ],
    [
      resource(`net { shared-secret ${"s".repeat(65)}; }`),
      "bad-value",
      true,
      /shared-secret is too long/,
    ],
    [
      resource("net { allow-two-primaries; }"),
      "not-available",
      false,
      /dual-primary is not available yet/,
    ],
    [
      resource("options { quorum majority; }"),
      "not-available",
      false,
      /quorum is not available yet/,
    ],
    [
      resource("net { timeout 60; timeout 70; }"),
      "duplicate-option",
      false,
      /the last one counts/,
    ],
    [
      resource("meta-disk /dev/m; meta-disk /dev/n;"),
      "duplicate-option",
      false,
      /meta-disk is also set in line 2/,
    ],
    [
      resource("disk { resync-after x; }"),
      "unknown-name",
      false,
      /resource 'x' mentioned in 'resync-after'/,
    ],
    [
      resource("disk { resync-after r0; }"),
      "bad-value",
      true,
      /leads in a circle/,
    ],
    [
      resource("startup { become-primary-on carol; }"),
      "unknown-name",
      false,
      /contains 'carol'/,
    ],
    [
      resource("startup { become-primary-on both; }"),
      "bad-value",
      false,
      /allow-two-primaries is not set/,
    ],
    [
      resource("net { ping-int 5; }"),
      "bad-value",
      false,
      /timeout \(6 s\) should be lower than ping-int \(5 s\)/,
    ],
    [
      `${resource()}global { }`,
      "section-order",
      false,
      /in front of any resource/,
    ],
    [resource().slice(0, -2), "missing-brace", false, /'\}' is missing/],
    [
      resource().replaceAll("meta-disk internal;", ""),
      "incomplete",
      false,
      /'meta-disk' keyword missing/,
    ],
    [
      resource().replaceAll(/disk \/dev\/d1; meta-disk internal;/g, ""),
      "incomplete",
      true,
      /'disk' keyword missing/,
    ],
    ["resource r { }", "incomplete", false, /a host sections/],
    [
      `resource r { ${side("alice", A)} }`,
      "incomplete",
      false,
      /Missing section 'on <PEER>/,
    ],
    [
      resource(
        side("carol", "device minor 1; disk /dev/c; address 10.1.1.33:1;"),
      ),
      "incomplete",
      false,
      /Use explicit 'connection' sections/,
    ],
    [
      resource().replaceAll("r0", "all"),
      "reserved-name",
      false,
      /every resource/,
    ],
    [
      `${resource()}resource r1 { ${
        hosts(2).replaceAll("/dev/d2", "/dev/d1")
      } }`,
      "shared-disk",
      false,
      /also used at f:3/,
    ],
    [
      resource().replaceAll("internal", "/dev/d1"),
      "shared-disk",
      false,
      /also used at f:3/,
    ],
  ];
  for (const [text, code, refusedAtUp, expected] of cases) {
    const { warnings } = parseDrbdText(text, { file: "f" });
    const found = warnings.find((warning) =>
      warning.code === code && expected.test(formatFinding(warning))
    );
    assert.ok(found, `${text}\n${JSON.stringify(warnings)}`);
    assert.equal(found.refusedAtUp, refusedAtUp, text);
  }
});

Deno.test("checkConf() has nothing to say about a plain resource", () => {
  assert.deepEqual(parseDrbdText(resource()).warnings, []);
});

Deno.test("checkConf() never shows a secret", () => {
  const secret = "hunter2".repeat(12);
  const { warnings } = parseDrbdText(
    resource(`net { shared-secret ${secret}; }`),
  );
  assert.ok(warnings.length > 0);
  assert.ok(!JSON.stringify(warnings).includes("hunter2"));
});
