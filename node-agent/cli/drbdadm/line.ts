/**
 * The command line of `drbdadm`, in the spellings of 8.3, 8.4 and 9:
 *
 * ```text
 * drbdadm [drbdadm's options] [-- drbdsetup's options] COMMAND [options] {all|RES[/VOL]…}
 * drbdadm -- --force primary mysql
 * drbdadm primary --force mysql
 * drbdadm connect --discard-my-data mysql
 * ```
 *
 * Pure.
 *
 * @module
 */

import { nearest } from "../nearest.ts";
import { whyRefused } from "./refused_options.ts";

/** What stood on the command line. */
export interface Line {
  /** The command; undefined when there is none. */
  readonly command: string | undefined;
  /** Resources, `RES/VOL` or `all`. */
  readonly words: readonly string[];
  /** Options of drbdadm itself, by long name. */
  readonly own: ReadonlyMap<OwnOption, string>;
  /** Options of the command, by long name; `yes` when without a value. */
  readonly setup: ReadonlyMap<string, string>;
}

/** The command line is wrong: text for standard error, exit code 1. */
export class LineError extends Error {}

/** A row of {@linkcode OWN_OPTIONS}. */
interface OwnRow {
  readonly short?: string;
  /** Name of the value; a flag has none. */
  readonly value?: string;
  readonly help: string;
}

/** Options of drbdadm itself. */
export const OWN_OPTIONS = {
  "config-file": {
    short: "c",
    value: "FILE",
    help: "configuration (KEDGE_DRBD_CONF, /etc/drbd.conf)",
  },
  "config-to-test": {
    short: "t",
    value: "FILE",
    help: "another configuration that must be sound as well",
  },
  "dry-run": {
    short: "d",
    help: "print what 8.4 would run, and do nothing",
  },
  verbose: { short: "v", help: "print it, and do it" },
  "sh-varname": {
    short: "n",
    value: "NAME",
    help: "sh-* commands print NAME=VALUE",
  },
  stacked: { short: "S", help: "taken; stacked resources are not available" },
  "setup-option": {
    short: "W",
    value: "OPTION",
    help: "an option for the command, as after --",
  },
  drbdsetup: { short: "s", value: "FILE", help: "taken, has no effect" },
  drbdmeta: { short: "m", value: "FILE", help: "taken, has no effect" },
  version: { short: "V", help: "show the version" },
  strict: { help: "refuse what DRBD's own parser refuses" },
  host: { value: "NAME", help: "be this host (KEDGE_HOST, __DRBD_NODE__)" },
  "run-dir": { value: "DIR", help: "folder of the daemon's sockets" },
  export: {
    value: "HOST:PORT",
    help: "up: offer the volumes over TCP as well (KEDGE_EXPORT)",
  },
  "no-device-node": {
    help: "up: make no /dev/drbdN on promotion (KEDGE_DEVICE_NODES=off)",
  },
  json: {
    help: "status (as drbdsetup), role, cstate, dstate, and errors: JSON",
  },
} as const satisfies Readonly<Record<string, OwnRow>>;

/** Long name of an option of drbdadm itself. */
export type OwnOption = keyof typeof OWN_OPTIONS;

const OWN_ROWS: Readonly<Record<string, OwnRow>> = OWN_OPTIONS;

/** Options of commands that take a value in the next word too. */
const SETUP_WITH_VALUE = new Set([
  "al-stripe-size-kB",
  "al-stripes",
  "c-delay-target",
  "c-fill-target",
  "c-max-rate",
  "c-min-rate",
  "c-plan-ahead",
  "degr-wfc-timeout",
  "max-peers",
  "outdated-wfc-timeout",
  "peer-max-bio-size",
  "resync-rate",
  "size",
  "start",
  "stop",
  "wait-after-sb",
  "wfc-timeout",
]);

/** One letter of drbdsetup's, as old texts write them. */
const SETUP_SHORT: Readonly<Record<string, string>> = {
  f: "force",
  o: "overwrite-data-of-peer",
  D: "discard-my-data",
};

/**
 * Take a command line apart.
 *
 * @throws {LineError} For an option that nobody has, or one without its value.
 */
export function parseLine(args: readonly string[]): Line {
  const reader = new LineReader(args);
  while (reader.hasMore) reader.step();
  const [command, ...words] = reader.words;
  return { command, words, own: reader.own, setup: reader.setup };
}

class LineReader {
  readonly words: string[] = [];
  readonly own = new Map<OwnOption, string>();
  readonly setup = new Map<string, string>();
  #at = 0;
  #isAfterDashes = false;

  constructor(readonly args: readonly string[]) {}

  get hasMore(): boolean {
    return this.#at < this.args.length;
  }

  step(): void {
    const word = this.args[this.#at++] ?? "";
    if (word === "--") this.#isAfterDashes = true;
    else if (word.startsWith("--")) this.#long(word.slice(2));
    else if (word.startsWith("-") && word.length > 1) this.#short(word);
    else this.words.push(word);
  }

  #long(text: string): void {
    const [name = "", ...rest] = text.split("=");
    const value = rest.length > 0 ? rest.join("=") : undefined;
    const row = OWN_ROWS[name];
    // After "--" every option is drbdsetup's, but --json and our own stay ours.
    if (row === undefined || this.#isAfterDashes && row.short !== undefined) {
      return this.#set(name, value);
    }
    this.#own(name, row, value);
  }

  #short(word: string): void {
    const letter = word.slice(1, 2);
    const rest = word.slice(2);
    const [name, row] = Object.entries(OWN_ROWS)
      .find(([, { short }]) => short === letter) ?? [];
    const setup = SETUP_SHORT[letter];
    if (setup !== undefined && (this.#isAfterDashes || row === undefined)) {
      return this.#set(setup, undefined);
    }
    if (name === undefined || row === undefined) {
      throw new LineError(`drbdadm: unrecognized option '-${letter}'`);
    }
    this.#own(name, row, rest === "" ? undefined : rest.replace(/^=/, ""));
  }

  #own(name: string, row: OwnRow, value: string | undefined): void {
    const given = row.value === undefined ? "yes" : value ?? this.#next(name);
    if (name === "setup-option") return this.#long(given.replace(/^--/, ""));
    this.own.set(name as OwnOption, given);
  }

  #set(name: string, value: string | undefined): void {
    const given = value ??
      (SETUP_WITH_VALUE.has(name) ? this.#next(name) : "yes");
    this.setup.set(name, given);
  }

  #next(name: string): string {
    const value = this.args[this.#at++];
    if (value !== undefined) return value;
    throw new LineError(`drbdadm: option '--${name}' requires an argument`);
  }
}

/**
 * Refuse options that a command does not have.
 *
 * @param known Long names that it has.
 * @throws {LineError} With the reason, or the nearest one that it has.
 */
export function checkSetup(line: Line, known: readonly string[]): void {
  for (const [name, value] of line.setup) {
    if (known.includes(name)) continue;
    const why = whyRefused(line.command ?? "", [name, value]);
    if (why !== undefined) {
      throw new LineError(`drbdadm ${line.command} --${name}: ${why}`);
    }
    const guess = nearest(name, [...known, ...Object.keys(OWN_OPTIONS)]);
    const hint = guess !== undefined
      ? `; did you mean --${guess}?`
      : known.length === 0
      ? `; ${line.command} takes none`
      : `; ${line.command} takes --${known.join(", --")}`;
    throw new LineError(
      `drbdadm ${line.command}: unrecognized option '--${name}'${hint}`,
    );
  }
}
