/**
 * What becomes of every line of a configuration: one finding per key.
 *
 * @module
 */

import { AgentSettings } from "../config/agent.ts";
import { TRACKER_SETTINGS } from "../config/tracker.ts";
import { kindOf } from "./kind.ts";
import type { ConfKind, Fate, KeyRow } from "./keys/row.ts";
import { keyRow } from "./keys/tables.ts";
import {
  type ConfItem,
  type ConfProblem,
  type Place,
  placeText,
  readConfText,
  type ReadText,
} from "./text.ts";
import { readValue } from "./values.ts";

/** What became of one line. */
export interface KeyFinding extends Place {
  readonly kind: ConfKind;
  readonly section: string;
  readonly key: string;
  /** As written; "" for a secret. */
  readonly written: string;
  /** In Kedge's spelling: `yes`, bytes as digits, our word for FastDFS's. */
  readonly value: string;
  readonly fate: Fate;
  readonly row: KeyRow;
}

/** A file, its kind and its lines. */
export interface ConfFile {
  readonly file: string;
  readonly kind: ConfKind;
  readonly findings: readonly KeyFinding[];
}

/** Everything that was read. */
export interface FastdfsConf {
  readonly files: readonly ConfFile[];
  /** What keeps it from being used: mistakes and refused keys. */
  readonly problems: readonly ConfProblem[];
  /** What FastDFS passes over in silence. */
  readonly notes: readonly ConfProblem[];
}

/** Keys whose values are not to be shown. */
const SECRET = /secret_key$/;

/**
 * Read configuration files of FastDFS. Never throws.
 *
 * @param files Paths, of any kinds, in any order.
 * @param readText The file system.
 */
export function readFastdfsConf(
  files: readonly string[],
  readText: ReadText,
): FastdfsConf {
  const read = files.map((file) => understandFile(file, readText));
  return {
    files: read.flatMap(({ conf }) => conf === undefined ? [] : [conf]),
    problems: read.flatMap(({ problems }) => problems),
    notes: read.flatMap(({ notes }) => notes),
  };
}

interface Understood {
  readonly conf: ConfFile | undefined;
  readonly problems: ConfProblem[];
  readonly notes: ConfProblem[];
}

function understandFile(file: string, readText: ReadText): Understood {
  const text = readConfText(file, readText);
  const problems = [...text.problems];
  const notes = [...text.notes];
  const kind = kindOf(text);
  if (kind === undefined) {
    if (problems.length === 0) {
      problems.push({
        file,
        line: 0,
        cause: "this is none of FastDFS's files",
        next: "name it tracker.conf, storage.conf or client.conf",
      });
    }
    return { conf: undefined, problems, notes };
  }
  problems.push(...twice(text.items, kind));
  const findings: KeyFinding[] = [];
  for (const item of text.items) {
    const found = understandItem(item, kind);
    if ("row" in found) {
      findings.push(found);
      if (found.fate === "refused") {
        problems.push({
          file: item.file,
          line: item.line,
          cause: `${item.key} = ${item.value} is not possible here`,
          next: lowered(found.row.say),
        });
      }
    } else if (found.isNote) notes.push(found);
    else problems.push(found);
  }
  return { conf: { file, kind, findings }, problems, notes };
}

function understandItem(
  item: ConfItem,
  kind: ConfKind,
): KeyFinding | ConfProblem & { readonly isNote: boolean } {
  const { file, line, key, section } = item;
  const row = keyRow(kind, key, section);
  if (row === undefined) {
    return {
      file,
      line,
      cause: `${key} is no key of FastDFS's ${kind} configuration${
        section === "" ? "" : ` in [${section}]`
      }; FastDFS skips it too`,
      next: "see docs/reference/fastdfs-keys.md for those it has",
      isNote: true,
    };
  }
  const isSecret = SECRET.test(key);
  const base = {
    file,
    line,
    kind,
    section,
    key,
    row,
    written: isSecret ? "" : item.value,
  };
  // An empty value is a missing key, for FastDFS too.
  if (item.value === "" && row.value !== "text") {
    return { ...base, value: "", fate: "unneeded" };
  }
  const read = readValue(row.value, item.value);
  const value = read.ok ? wordOf(row, read.value) : undefined;
  if (value === undefined) {
    const wanted = read.ok
      ? Object.keys(row.words ?? {}).join(", ")
      : read.wanted;
    return {
      file,
      line,
      cause: `${key} = "${isSecret ? "…" : item.value.slice(0, 80)}" cannot be`,
      next: `write ${wanted}`,
      isNote: false,
    };
  }
  const bad = unfit(row, value);
  if (bad !== undefined) {
    return {
      file,
      line,
      cause: `${key} = ${isSecret ? "…" : item.value.slice(0, 80)} cannot be`,
      next: `mend it: ${bad}`,
      isNote: false,
    };
  }
  return { ...base, value, fate: fateOf(row, value) };
}

/** What the settings that it fills say against a value. */
function unfit({ to, fate }: KeyRow, value: string): string | undefined {
  if (fate !== "mapped" || value === "") return undefined;
  for (const target of to ?? []) {
    const schema = "agent" in target
      ? Object.entries(AgentSettings.shape)
        .find(([name]) => name === target.agent)?.[1]
      : Object.values(TRACKER_SETTINGS)
        .find(({ env }) => env === target.tracker)?.schema;
    const read = schema?.safeParse(value);
    if (read?.success === false) {
      return read.error.issues.map(({ message }) => message).join(", ");
    }
  }
  return undefined;
}

function wordOf(
  { words, unit = "" }: KeyRow,
  value: string,
): string | undefined {
  return words === undefined ? value + unit : words[value.toLowerCase()];
}

function fateOf({ fate, except }: KeyRow, value: string): Fate {
  return fate === "refused" && except?.includes(value) ? "unneeded" : fate;
}

/** A key that stands twice with two values: FastDFS takes any of them. */
function twice(items: readonly ConfItem[], kind: ConfKind): ConfProblem[] {
  const first = new Map<string, ConfItem>();
  const found: ConfProblem[] = [];
  for (const item of items) {
    const row = keyRow(kind, item.key, item.section);
    // An empty value is a missing key.
    if (row === undefined || item.value === "") continue;
    if (row.repeats || row.fate === "unneeded") continue;
    const name = `${item.section}\n${item.key}`;
    const before = first.get(name);
    if (before === undefined) first.set(name, item);
    else if (before.value !== item.value) {
      found.push({
        file: item.file,
        line: item.line,
        cause: `${item.key} stands at ${
          placeText(before)
        } too, with another value`,
        next: "keep one of them: FastDFS takes either",
      });
    }
  }
  return found;
}

function lowered(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}
