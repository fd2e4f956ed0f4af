import assert from "node:assert/strict";
import type { OptionRow } from "../../schema/drbd_conf/options/row.ts";
import { TABLES } from "../../schema/drbd_conf/options/tables.ts";
import { xmlHelp } from "./drbd_conf_samples.ts";

/** Where the options of a section are described. */
const SOURCES = {
  net: [
    "v84-connect",
    "v84-net-options",
    "v9.34-new-peer",
    "v9.34-net-options",
  ],
  disk: [
    "v84-attach",
    "v84-disk-options",
    "v9.34-attach",
    "v9.34-disk-options",
    "v9.34-peer-device-options",
    "v9.34-new-minor",
  ],
  options: ["v84-resource-options", "v9.34-resource-options"],
} as const;

/** Options of commands that are no options of a file. */
const NOT_IN_FILES: ReadonlySet<string> = new Set([
  "tentative",
  "discard-my-data",
  "alternate-address",
  "alternate-peer-address",
  "set-defaults",
  "_name",
]);

interface Described {
  readonly name: string;
  readonly type: string;
  readonly tags: ReadonlyMap<string, readonly string[]>;
}

function describedIn(file: string): Described[] {
  const options = xmlHelp(`${file}.xml`)
    .matchAll(/<option name="([^"]+)" type="([^"]+)">(.*?)<\/option>/gs);
  return [...options].map(([, name = "", type = "", body = ""]) => {
    const tags = new Map<string, string[]>();
    for (const [, tag = "", value = ""] of body.matchAll(/<(\w+)>([^<]*)</g)) {
      tags.set(tag, [...tags.get(tag) ?? [], value]);
    }
    return { name, type, tags };
  });
}

const ALL = Object.entries(SOURCES).flatMap(([section, files]) =>
  files.flatMap(describedIn).filter(({ name }) => !NOT_IN_FILES.has(name))
    .map((option) => ({ section: section as keyof typeof SOURCES, option }))
);

Deno.test({
  name: "drbd.conf: every option that drbdsetup describes is in our tables",
  ignore: ALL.length === 0,
  fn() {
    for (const { section, option } of ALL) {
      const row = TABLES[section].get(option.name);
      assert.ok(row, `${section} ${option.name}`);
      compare(row, option);
    }
    assert.equal(new Set(ALL.map(({ option }) => option.name)).size, 81);
  },
});

Deno.test({
  name:
    "drbd.conf: no option of our tables is unknown to drbdsetup, and no range too wide",
  ignore: ALL.length === 0,
  fn() {
    for (const section of ["net", "disk", "options"] as const) {
      for (const row of TABLES[section].values()) {
        const twins = ALL.filter(({ option }) => option.name === row.name)
          .map(({ option }) => option);
        assert.ok(twins.length > 0, row.name);
        if (row.kind !== "number") continue;
        const bound = (tag: string) =>
          twins.map(({ tags }) => Number(tags.get(tag)?.[0]));
        assert.equal(row.min, Math.min(...bound("min")), row.name);
        assert.equal(row.max, Math.max(...bound("max")), row.name);
      }
    }
  },
});

function compare(row: OptionRow, { name, type, tags }: Described): void {
  const [fallback] = tags.get("default") ?? [];
  switch (row.kind) {
    case "boolean":
      assert.equal(type, "boolean", name);
      assert.equal(row.fallback ? "yes" : "no", fallback, name);
      return;
    case "number":
      assert.match(type, /^numeric/, name);
      assert.equal(row.unit, tags.get("unit_prefix")?.[0] ?? "1", name);
      assert.equal(row.fallbackSymbol ?? String(row.fallback), fallback, name);
      assert.deepEqual(row.symbols, tags.get("symbol") ?? [], name);
      return;
    case "choice":
      assert.equal(type, "handler", name);
      for (const value of tags.get("handler") ?? []) {
        assert.ok(row.values.includes(value), `${name} ${value}`);
      }
      return;
    default:
      assert.ok(["string", "numeric"].includes(type), `${name} ${type}`);
  }
}
