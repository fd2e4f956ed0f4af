/**
 * The text of FastDFS's configuration files, as its ini reader takes it.
 *
 * ```text
 * # a comment           only at the start of a line
 * #include FILE         another file, relative to this one
 * [section]             keys behind it belong to it
 * key = value           may be repeated where a list makes sense
 * ```
 *
 * There are no comments behind a value, no quotes and no continued lines. A line
 * without `=` is skipped by FastDFS; here it is skipped and told.
 *
 * @module
 */

/** Where something stands. */
export interface Place {
  /** Path of the file, as it was given or included. */
  readonly file: string;
  /** Line, from 1; 0 is the file as a whole. */
  readonly line: number;
}

/** One `key = value`. */
export interface ConfItem extends Place {
  /** Name of its section; "" before the first. */
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

/** Something wrong: the cause, and what to do. */
export interface ConfProblem extends Place {
  readonly cause: string;
  readonly next: string;
}

/** A file with everything that it includes. */
export interface ConfText {
  readonly file: string;
  readonly items: readonly ConfItem[];
  /** What cannot be read as it is. */
  readonly problems: readonly ConfProblem[];
  /** What FastDFS passes over in silence. */
  readonly notes: readonly ConfProblem[];
}

/** A line that may hold a secret is never shown. */
const SECRET_LINE = /secret|password|passwd/i;

/**
 * The file system as far as it is needed: a text, or `undefined`. Of a file that
 * is longer than {@linkcode CONF_BYTES_MAX} a part that is longer is enough.
 */
export type ReadText = (path: string) => string | undefined;

/** Bounds against a file that includes itself, or a wrong file. */
const DEPTH_MAX = 8;
const FILES_MAX = 64;
/** Longest file that is read, in bytes: nothing has to read more of it. */
export const CONF_BYTES_MAX: number = 1 << 20;

/** `FILE:LINE: cause; next`. */
export function problemText(problem: ConfProblem): string {
  return `${placeText(problem)}: ${problem.cause}; ${problem.next}`;
}

/** `FILE:LINE`, or the file alone. */
export function placeText({ file, line }: Place): string {
  return line === 0 ? file : `${file}:${line}`;
}

/**
 * Read a file and what it includes. Never throws: what is wrong is in the result.
 *
 * @param file Its path.
 * @param readText The file system.
 *
 * @example
 * ```ts
 * import { readConfText } from "@kedge/schema/fastdfs-conf";
 * import assert from "node:assert/strict";
 *
 * const { items } = readConfText("c", () => "# a comment\nport = 23000\n");
 * assert.deepEqual(items, [
 *   { file: "c", line: 2, section: "", key: "port", value: "23000" },
 * ]);
 * ```
 */
export function readConfText(file: string, readText: ReadText): ConfText {
  const reading: Reading = {
    own: file,
    readText,
    files: 0,
    items: [],
    problems: [],
    notes: [],
  };
  readFile(reading, { file, depth: 0, from: { file, line: 0 } });
  const { items, problems, notes } = reading;
  return { file, items, problems, notes };
}

interface Reading {
  /** The file that was named; all others are included. */
  readonly own: string;
  readonly readText: ReadText;
  files: number;
  readonly items: ConfItem[];
  readonly problems: ConfProblem[];
  readonly notes: ConfProblem[];
}

/** One file to be read, and who asks for it. */
interface Wanted {
  readonly file: string;
  readonly depth: number;
  readonly from: Place;
}

function readFile(reading: Reading, wanted: Wanted): void {
  const { file, depth, from } = wanted;
  const refuse = (cause: string, next: string) =>
    void reading.problems.push({ ...from, cause, next });
  if (reading.files > FILES_MAX) return; // was told
  if (depth > DEPTH_MAX || ++reading.files > FILES_MAX) {
    reading.files = FILES_MAX + 1;
    return refuse(
      `too many files are included`,
      "look for a file that includes itself",
    );
  }
  const text = reading.readText(file);
  if (text === undefined) {
    return refuse(
      depth === 0 ? "there is no such file" : `there is no file "${file}"`,
      depth === 0
        ? "name the configuration file of FastDFS"
        : "copy it here as well, or take this line out",
    );
  }
  if (text.length > CONF_BYTES_MAX || text.includes("\0")) {
    return refuse(
      `"${file}" is no configuration file`,
      "name a text file of at most 1 MB",
    );
  }
  let section = "";
  for (
    const [index, raw] of text.replace(/^\uFEFF/, "").split("\n").entries()
  ) {
    if (reading.files > FILES_MAX) return;
    const at: Place = { file, line: index + 1 };
    const line = raw.trim();
    const included = /^#include[ \t]+(\S.*)$/i.exec(line)?.[1];
    if (included !== undefined) {
      const path = included.startsWith("/")
        ? included
        : folderOf(file) + included;
      readFile(reading, { file: path, depth: depth + 1, from: at });
    } else if (line.startsWith("#@")) {
      reading.problems.push({
        ...at,
        cause: `the directive "${line.slice(0, 40)}" is not understood`,
        next: "write out the lines that it stands for",
      });
    } else if (line !== "" && !line.startsWith("#")) {
      section = readLine(reading, { at, line, section });
    }
  }
}

/** Returns the section that holds from here on. */
function readLine(
  reading: Reading,
  { at, line, section }: {
    readonly at: Place;
    readonly line: string;
    readonly section: string;
  },
): string {
  const name = /^\[(.*)\]$/.exec(line)?.[1];
  if (name !== undefined) return name.trim();
  const equals = line.indexOf("=");
  if (equals < 1) {
    // What was included may be any file that an operator may read.
    const isOwn = at.file === reading.own;
    const told = isOwn && !SECRET_LINE.test(line)
      ? `"${line.slice(0, 60)}"`
      : isOwn
      ? "a line with a secret"
      : "this line";
    reading.notes.push({
      ...at,
      cause: `${told} is no "key = value"; FastDFS skips it too`,
      next: "begin the line with # if it is a comment",
    });
    return section;
  }
  reading.items.push({
    ...at,
    section,
    key: line.slice(0, equals).trim(),
    value: line.slice(equals + 1).trim(),
  });
  return section;
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}
