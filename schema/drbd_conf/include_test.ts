import assert from "node:assert/strict";
import * as fc from "fast-check";
import { globPattern, includeReader } from "./include.ts";

const FILES = [
  "/etc/drbd.conf",
  "/etc/drbd.d/b.res",
  "/etc/drbd.d/a.res",
  "/etc/drbd.d/.hidden.res",
  "/etc/drbd.d/a.res.bak",
  "/etc/x/1/a.res",
  "/etc/x/2/a.res",
];

const readFiles = includeReader({
  readText: (path) => FILES.includes(path) ? `# ${path}` : undefined,
  list: (folder) => {
    const prefix = folder.endsWith("/") ? folder : `${folder}/`;
    return [
      ...new Set(
        FILES.filter((path) => path.startsWith(prefix))
          .map((path) => path.slice(prefix.length).split("/")[0] ?? ""),
      ),
    ];
  },
});

Deno.test("includeReader() finds files relative to the including one, sorted", () => {
  const cases: [string, string | undefined, string[]][] = [
    ["/etc/drbd.conf", undefined, ["/etc/drbd.conf"]],
    ["drbd.d/*.res", "/etc/drbd.conf", [
      "/etc/drbd.d/a.res",
      "/etc/drbd.d/b.res",
    ]],
    ["./drbd.d/../drbd.conf", "/etc/drbd.conf", ["/etc/drbd.conf"]],
    ["../drbd.conf", "/etc/drbd.d/a.res", ["/etc/drbd.conf"]],
    ["a.re?", "/etc/drbd.d/b.res", ["/etc/drbd.d/a.res"]],
    ["[!a].res", "/etc/drbd.d/b.res", ["/etc/drbd.d/b.res"]],
    ["x/*/a.res", "/etc/drbd.conf", ["/etc/x/1/a.res", "/etc/x/2/a.res"]],
    [".*.res", "/etc/drbd.d/b.res", ["/etc/drbd.d/.hidden.res"]],
    ["nope/*.res", "/etc/drbd.conf", []],
    ["nope.res", "/etc/drbd.conf", []],
  ];
  for (const [pattern, from, expected] of cases) {
    assert.deepEqual(
      readFiles(pattern, from).map(({ path }) => path),
      expected,
      pattern,
    );
  }
});

Deno.test("globPattern() takes any text, and plain names only as themselves", () => {
  fc.assert(fc.property(fc.string(), fc.string(), (glob, name) => {
    const pattern = globPattern(glob);
    if (/^[\w-]+$/.test(glob)) assert.equal(pattern.test(name), glob === name);
  }));
});
