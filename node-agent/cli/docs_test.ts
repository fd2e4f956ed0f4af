import assert from "node:assert/strict";
import { COMMON } from "./args.ts";
import type { Command } from "./command.ts";
import { COMMANDS } from "./registry.ts";

const ROOT = new URL("../../", import.meta.url);
/** Commands that take options of their own kind. */
const FOREIGN: ReadonlySet<string> = new Set(["drbdadm", "drbd-overview"]);

Deno.test("every command that the pages show exists, with its options", async (t) => {
  const pages = ["README.md"];
  for (const { name } of Deno.readDirSync(new URL("docs/", ROOT))) {
    if (name.endsWith(".md")) pages.push(`docs/${name}`);
  }
  let count = 0;
  for (const page of pages.sort()) {
    await t.step(page, async () => {
      for (const words of shown(await Deno.readTextFile(new URL(page, ROOT)))) {
        assert.equal(await faultOf(words), undefined, words.join(" "));
        count++;
      }
    });
  }
  assert(count > 100, `found ${count}`);
});

/** Command lines in code spans, and in lines of blocks that begin with one. */
function shown(text: string): string[][] {
  const lines = [
    ...[...text.matchAll(/`kedge ([^`]+)`/g)].map(([, line = ""]) => line),
    ...[...text.matchAll(/^(?:\$ |# )?kedge (.*)$/gm)]
      .map(([, line = ""]) => line),
  ];
  return lines.map((line) =>
    line.replace(/\s#.*$/s, "").split(/[\s|;&]+/).filter(Boolean)
  );
}

async function faultOf([name = "", ...rest]: string[]) {
  if (!/^[a-z][a-z0-9-]*$/.test(name)) return undefined; // prose, or "…"
  const entry = COMMANDS.find((each) => each.name === name);
  if (entry === undefined) return name === "help" ? undefined : "no command";
  if (FOREIGN.has(name)) return undefined;
  const command = await entry.load();
  return verbFault(command, rest) ??
    rest.flatMap((word) => /^--([a-z][a-z0-9-]*)/.exec(word)?.[1] ?? [])
      .filter((option) => !takes(command, option))
      .map((option) => `no option --${option}`)[0];
}

function verbFault({ verbs = [] }: Command, [first = ""]: string[]) {
  const isWord = /^[a-z][a-z-]*$/.test(first);
  if (verbs.length === 0 || !isWord || verbs.includes(first)) return undefined;
  return `no verb ${first}`;
}

function takes({ options }: Command, option: string): boolean {
  const known = [...Object.keys(options), ...Object.keys(COMMON), "help"];
  return known.includes(option) || known.includes(option.replace(/^no-/, ""));
}
