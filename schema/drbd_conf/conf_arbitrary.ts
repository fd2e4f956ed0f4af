/**
 * Random configurations for tests: valid ones, and damaged ones.
 *
 * @module
 */

import * as fc from "fast-check";
import { quote } from "./lexer.ts";
import type { SectionName } from "./options/aliases.ts";
import type { OptionRow } from "./options/row.ts";
import { TABLES } from "./options/tables.ts";

const SUFFIXES = ["", "k", "K", "M", "G", "s"];

/** Text that may stand in quotes. */
const line = fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 })
  .filter((text) => !/[\r\n\u2028\u2029]/.test(text));

/** A value that an option takes, or at least does not refuse at once. */
function valueOf(row: OptionRow): fc.Arbitrary<string> {
  switch (row.kind) {
    case "flag":
      return fc.constant("");
    case "boolean":
      return fc.constantFrom("", " yes", " no");
    case "choice":
      return fc.constantFrom(...row.values).map((value) => ` ${value}`);
    case "names":
      return fc.constantFrom(" both", " alice", " alice bob");
    case "text":
      return line.map((text) => ` ${quote(text)}`);
    case "number": {
      const { min, max, symbols } = row;
      const plain = fc.integer({ min, max: Math.min(max, 2 ** 31) })
        .map((value) => ` ${value}`);
      const words = symbols.map((symbol) => fc.constant(` ${symbol}`));
      return fc.oneof(plain, ...words);
    }
  }
}

/** `NAME { … }` with some options of its table. */
function section(name: SectionName): fc.Arbitrary<string> {
  const option = fc.constantFrom(...TABLES[name].values()).chain((row) =>
    valueOf(row).map((value) => `${row.name}${value};`)
  );
  return fc.array(option, { maxLength: 4 })
    .map((options) => `${name} { ${options.join(" ")} }`);
}

/** Some of these, each at most once. */
function some(...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  return fc.tuple(...parts.map((part) => fc.option(part, { nil: "" })))
    .map((texts) => texts.join("\n"));
}

const SECTIONS = some(
  section("net"),
  section("disk"),
  section("options"),
  section("startup"),
  section("handlers"),
);

const META = fc.constantFrom(
  "internal",
  '"internal"',
  "/dev/md",
  "/dev/md [0]",
);

/** `volume N { … }`, without numbers that are taken elsewhere. */
function volume(index: number, minor: number): fc.Arbitrary<string> {
  return fc.tuple(META, fc.option(section("disk"), { nil: "" })).map(
    ([meta, disk]) =>
      `volume ${index} { device minor ${minor}; disk /dev/d${minor}; ` +
      `meta-disk ${meta.replace("md", `md${minor}`)}; ${disk} }`,
  );
}

/** A resource of two hosts; everything that must be unique follows `index`. */
function resource(index: number): fc.Arbitrary<string> {
  const ports = 7000 + index;
  const minor = index * 4;
  const volumes = fc.oneof(
    fc.constant(`device minor ${minor}; disk /dev/x; meta-disk internal;`),
    fc.tuple(volume(0, minor), volume(7, minor + 1))
      .map((texts) => texts.join("\n")),
  );
  const connection = fc.tuple(section("net"), section("disk")).map((texts) =>
    `connection { host alice; host bob port 9; ${texts.join("\n")} }`
  );
  return fc.tuple(
    fc.constantFrom("r", '"on"', '"5"', "all"),
    SECTIONS,
    volumes,
    fc.boolean(),
    fc.option(connection, { nil: "" }),
  ).map(([name, sections, volumes, isShared, connection]) =>
    `resource ${name.replace(/"?$/, `${index}$&`)} {\n${sections}\n` +
    `${isShared ? volumes : ""}\n` +
    `on alice { address 10.1.1.31:${ports}; ${isShared ? "" : volumes} }\n` +
    `on bob { address ipv6 [fd00::1]:${ports}; ${isShared ? "" : volumes} }\n` +
    `${connection} }\n`
  );
}

/** Whole configurations that are accepted. */
export const validConf: fc.Arbitrary<string> = fc.tuple(
  SECTIONS.map((sections) => `common { ${sections} }\n`),
  resource(0),
  resource(1),
).map((texts) => texts.join(""));

const TOKENS = [
  ...'{ } ; : [ ] " # \n \\ \uFEFF 使'.split(" "),
  ..."global common resource skip include on net disk device minor".split(" "),
  ..."address meta-disk floating volume connection host path proxy".split(" "),
  ..."connection-mesh hosts protocol syncer handlers stacked-on-top-of".split(
    " ",
  ),
  ..."ipv4 10.0.0.1 7789 0 internal none yes r0 alice /dev/drbd1".split(" "),
  ...[...TABLES.net.keys(), ...TABLES.disk.keys()],
  ...SUFFIXES.map((suffix) => `9${suffix}`),
];

/** Any words and marks in any order. */
export const tokenSoup: fc.Arbitrary<string> = fc
  .array(fc.constantFrom(...TOKENS), { maxLength: 60 })
  .map((tokens) => tokens.join(" "));

/** Accepted configurations with some of their tokens lost or replaced. */
export const damagedConf: fc.Arbitrary<string> = fc.tuple(
  validConf,
  fc.array(fc.tuple(fc.nat(), fc.constantFrom("", ...TOKENS)), {
    minLength: 1,
    maxLength: 3,
  }),
).map(([text, changes]) => {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{};:[\]]|[^\s{};:[\]"]+|\n/g) ??
    [];
  for (const [at, token] of changes) tokens[at % tokens.length] = token;
  return tokens.join(" ");
});
