/**
 * The configuration samples and what DRBD's own parsers said of them.
 *
 * @module
 */

import {
  type DrbdConf,
  includeReader,
  parseDrbdConf,
  ParseError,
  type ParseOptions,
  type ReadFiles,
} from "@kedge/schema/drbd-conf";
import { say } from "../helpers/say.ts";
import { oracleFolder } from "./vectors.ts";

const FOLDER = oracleFolder("drbd/conf");

/** DRBD's parsers: `v84` and the latest `v934`. */
export type Oracle = "v84" | "v934";

/** What our parser said of a sample. */
export type Verdict =
  | { readonly conf: DrbdConf }
  | { readonly error: ParseError };

/** One sample. */
export interface Sample {
  /** Such as `58-same-address-port`. */
  readonly name: string;
  /** Path of its first file for the port. */
  readonly file: string;
  /** Reads its files. */
  readonly readFiles: ReadFiles;
}

/** All samples, or none (said loudly) when the folder is missing. */
export function samples(): Sample[] {
  try {
    return [...Deno.readDirSync(`${FOLDER}/in`)]
      .map((entry) => entry.isDirectory ? tree(entry.name) : flat(entry.name))
      .sort((a, b) => a.name < b.name ? -1 : 1);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    say(`SKIPPED: no configurations in ${FOLDER} (set KEDGE_ORACLES)`);
    return [];
  }
}

function flat(name: string): Sample {
  return {
    name: name.replace(/\.conf$/, ""),
    file: `in/${name}`,
    readFiles: folderPort(FOLDER),
  };
}

function tree(name: string): Sample {
  const readFiles = folderPort(`${FOLDER}/in/${name}`);
  return { name, file: "drbd.conf", readFiles };
}

/** A port below a folder, whose paths are relative to it. */
function folderPort(root: string): ReadFiles {
  return includeReader({
    readText(path) {
      try {
        return readText(`${root}/${path}`);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    },
    list: (folder) => namesIn(`${root}/${folder}`),
  });
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** As the parser must get it: a byte order mark stays. */
function readText(path: string): string {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return decoder.decode(Deno.readFileSync(path));
}

/** What a parser wrote for a sample; `""` if nothing. */
export function answer(sample: string, file: string): string {
  try {
    return Deno.readTextFileSync(`${FOLDER}/out/${sample}/${file}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** Whether a parser took a sample. */
export function isTaken(sample: string, oracle: Oracle): boolean {
  return answer(sample, `${oracle}.dump.rc`).trim() === "0";
}

/** Names of the files that a parser wrote for a sample. */
export function answers(sample: string): string[] {
  return namesIn(`${FOLDER}/out/${sample}`);
}

/** `xml-help` of a command, or `""`. */
export function xmlHelp(file: string): string {
  try {
    return Deno.readTextFileSync(`${FOLDER}/xml-help/${file}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** One case of `adjust`. */
export interface AdjustCase {
  /** Such as `4-peer-moved`. */
  readonly name: string;
  /** The file. */
  readonly wanted: string;
  /** What runs, as `drbdsetup show` prints it; empty if nothing does. */
  readonly running: string;
  /** What 9.34 would run. */
  readonly commands: string;
}

/** The cases of `adjust`. */
export function adjustCases(): AdjustCase[] {
  const folder = `${FOLDER}/adjust`;
  const names = namesIn(folder);
  const cases = names.filter((name) => name.endsWith(".conf"));
  if (cases.length === 0) {
    say(`SKIPPED: no cases in ${folder} (set KEDGE_ORACLES)`);
  }
  return cases.map((file) => {
    const name = file.replace(/\.conf$/, "");
    const own = `${name}.show.txt`;
    const show = names.includes(own) ? own : "base-show.txt";
    return {
      name,
      wanted: readText(`${folder}/${file}`),
      running: readText(`${folder}/${show}`),
      commands: readText(`${folder}/${name}.v9.34.expected`),
    };
  });
}

/** Parses a sample. */
export function parseSample(
  sample: Sample,
  options: ParseOptions = {},
): Verdict {
  try {
    return { conf: parseDrbdConf(sample.file, sample.readFiles, options) };
  } catch (error) {
    if (error instanceof ParseError) return { error };
    throw error;
  }
}
