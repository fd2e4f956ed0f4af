/**
 * Changes options in the text of a configuration, and nothing else: comments,
 * order and spelling of everything around them stay. Pure.
 *
 * An option is changed where it stands: also in the places and with the names
 * of 8.3 (`syncer { rate … }`, `protocol` outside of `net`, `no-disk-flushes`).
 * A new one goes into `syncer` where the resource has such a section, so that a
 * file of 8.3 stays one.
 *
 * Only the sections that stand directly in the resource are touched; those of a
 * volume, a host or a connection win over them, as ever.
 *
 * @module
 */

import {
  type Block,
  resourceBlock,
  sectionBlock,
  type Span,
  spansOf,
  type Statement,
  statements,
} from "./edit_spans.ts";
import { quote } from "./lexer.ts";
import { ALIASES, type SectionName } from "./options/aliases.ts";

/** One option of a resource. */
export interface OptionChange {
  readonly section: SectionName;
  readonly name: string;
  /** `undefined`: the option goes, so that `common` or the default counts. */
  readonly value: string | undefined;
}

/** Where to change it. */
export interface EditPlace {
  /** Path for messages. */
  readonly file: string;
  readonly resource: string;
}

/** A name of an option, where it has that name. */
interface Spelling {
  /** Undefined: directly in the resource. */
  readonly section: SectionName | "syncer" | undefined;
  readonly name: string;
  /** The name says the value, too (`no-disk-flushes`). */
  readonly saysValue: boolean;
}

/** An option as it stands. */
interface Found extends Statement {
  readonly spelling: Spelling;
}

/** What one level more is indented by. */
const INDENT = "    ";

/**
 * Make the changes, in order.
 *
 * @returns The new text; `undefined` when the resource does not stand there.
 * @throws {ParseError} For a token that no drbd.conf can have.
 */
export function editOptions(
  text: string,
  place: EditPlace,
  changes: readonly OptionChange[],
): string | undefined {
  let edited: string | undefined = text;
  for (const change of changes) {
    edited = edited === undefined ? undefined : edit(edited, place, change);
  }
  return edited;
}

function edit(
  text: string,
  { file, resource }: EditPlace,
  change: OptionChange,
): string | undefined {
  const spans = spansOf(file, text);
  const body = resourceBlock(spans, resource);
  if (body === undefined) return undefined;
  const found = spellingsOf(change).flatMap((spelling) =>
    placesOf(spans, body, spelling)
  ).sort((a, b) => a.name.start - b.name.start);
  if (change.value === undefined) return without(text, found);
  // Of equal options the last one counts.
  const last = found.at(-1);
  return last === undefined
    ? withNew(text, { spans, body }, { ...change, value: change.value })
    : replaced(text, last, { ...change, value: change.value });
}

/** The names of an option, ours first. */
function spellingsOf({ section, name }: OptionChange): Spelling[] {
  const own: Spelling = { section, name, saysValue: false };
  const older = (Object.keys(ALIASES) as (SectionName | "syncer")[])
    .flatMap((each) =>
      [...ALIASES[each]].filter(([, alias]) =>
        alias.section === section && alias.name === name
      ).map(([spelled, alias]): Spelling => ({
        section: each,
        name: spelled,
        saysValue: alias.value !== undefined,
      }))
    );
  return [
    own,
    ...older,
    ...(name === "protocol" ? [{ ...own, section: undefined }] : []),
    // Up to 8.4 its place; that of 9 wins.
    ...(name === "fencing" ? [{ ...own, section: "disk" } as const] : []),
  ];
}

function placesOf(
  spans: readonly Span[],
  body: Block,
  spelling: Spelling,
): Found[] {
  const { section, name } = spelling;
  const inside = section === undefined
    ? body
    : sectionBlock(spans, body, section);
  return inside === undefined
    ? []
    : statements(spans, inside, name).map((each) => ({ ...each, spelling }));
}

/** An option that stands, with another value; an older name stays. */
function replaced(
  text: string,
  { name, end, spelling }: Found,
  change: OptionChange & { readonly value: string },
): string {
  const wanted = ` ${quote(change.value)}`;
  return spelling.saysValue
    ? text.slice(0, name.start) + change.name + wanted + text.slice(end.start)
    : text.slice(0, name.end) + wanted + text.slice(end.start);
}

function withNew(
  text: string,
  { spans, body }: { readonly spans: readonly Span[]; readonly body: Block },
  change: OptionChange & { readonly value: string },
): string {
  const older = spellingsOf(change).find(({ section }) => section === "syncer");
  const syncer = older && sectionBlock(spans, body, "syncer");
  const inside = syncer ?? sectionBlock(spans, body, change.section);
  const name = syncer && older ? older.name : change.name;
  const line = `${name} ${quote(change.value)};`;
  if (inside !== undefined) return added(text, spans[inside.close], line);
  const [before, indent] = beforeClose(text, spans[body.close]);
  const inner = indent + INDENT;
  const lines = [
    `${inner}${change.section} {`,
    `${inner}${INDENT}${line}`,
    `${inner}}`,
  ];
  return `${before}\n${lines.join("\n")}\n${indent}${
    text.slice(spans[body.close]?.start)
  }`;
}

function without(
  text: string,
  found: readonly Statement[],
): string {
  let edited = text;
  for (const { name, end } of found.toReversed()) {
    const before = edited.slice(0, name.start);
    const after = edited.slice(end.end);
    const isFirst = /(^|\n)[ \t]*$/.test(before);
    const isAlone = isFirst && /^[ \t]*(\n|$)/.test(after);
    edited = isAlone
      ? before.replace(/[ \t]*$/, "") + after.replace(/^[ \t]*\n?/, "")
      : isFirst
      ? before + after.replace(/^[ \t]*/, "")
      : before.replace(/[ \t]*$/, "") + after;
  }
  return edited;
}

/** Text before a closing brace, without the space there; and its indent. */
function beforeClose(text: string, close: Span | undefined): [string, string] {
  const start = close?.start ?? text.length;
  const line = text.slice(text.lastIndexOf("\n", start - 1) + 1, start);
  const indent = /^[ \t]*/.exec(line)?.[0] ?? "";
  return [text.slice(0, start).replace(/\s*$/, ""), indent];
}

/** A statement as the last one of a section. */
function added(text: string, close: Span | undefined, line: string): string {
  const start = close?.start ?? text.length;
  const [before, indent] = beforeClose(text, close);
  const isOwnLine = text.slice(0, start).endsWith(`\n${indent}`);
  return isOwnLine || before.split("\n").at(-1)?.includes("#")
    ? `${before}\n${indent}${INDENT}${line}\n${indent}${text.slice(start)}`
    : `${before} ${line} ${text.slice(start)}`;
}
