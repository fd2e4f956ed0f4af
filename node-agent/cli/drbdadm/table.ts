/**
 * The commands of `drbdadm`, by name: what they take, and what does them.
 * Modules are loaded when they are used.
 *
 * @module
 */

import type { Session } from "./session.ts";

/** What a command is given after its name. */
export type Targets =
  /** Nothing. */
  | "none"
  /** Resources, `RES/VOL` or `all`: at least one. */
  | "some"
  /** The same, or nothing for all. */
  | "any";

/** Does a command. Returns the exit code. */
export type Action = (session: Session) => Promise<number>;

/** One command of drbdadm. */
export interface CommandRow {
  readonly name: string;
  readonly targets: Targets;
  /** One line for the list; undefined: only in `hidden-commands`. */
  readonly help: string | undefined;
  /** Options that it has, long names. */
  readonly options: readonly string[];
  load(): Promise<Action>;
}

/** `primary` takes all spellings of force. */
export const FORCES = ["force", "overwrite-data-of-peer"] as const;

const daemon =
  (name: keyof typeof import("./daemon_commands.ts").COMMANDS) => async () =>
    (await import("./daemon_commands.ts")).COMMANDS[name];
const meta =
  (name: keyof typeof import("./meta_commands.ts").COMMANDS) => async () =>
    (await import("./meta_commands.ts")).COMMANDS[name];
const show =
  (name: keyof typeof import("./show_commands.ts").COMMANDS) => async () =>
    (await import("./show_commands.ts")).COMMANDS[name];

/** All commands. */
export const ROWS: readonly CommandRow[] = [
  some(
    "up",
    "attach and connect",
    [],
    async () => (await import("./up.ts")).up,
  ),
  some("down", "stop", [], async () => (await import("./up.ts")).down),
  some("attach", "use the disk", [], daemon("attach")),
  some("detach", "give the disk up", ["force"], daemon("detach")),
  some("connect", "look for the peer", [
    "discard-my-data",
    "tentative",
  ], daemon("connect")),
  some("disconnect", "leave the peer", ["force"], daemon("disconnect")),
  some("primary", "let people use the volume here", FORCES, daemon("primary")),
  some("secondary", "the opposite", ["force"], daemon("secondary")),
  some("invalidate", "copy everything from the peer", [
    "force",
    "reset-bitmap",
  ], daemon("invalidate")),
  some("invalidate-remote", "copy everything to the peer", [
    "force",
    "reset-bitmap",
  ], daemon("invalidate-remote")),
  some("outdate", "say that our data is old", [], daemon("outdate")),
  some("create-md", "write metadata", [
    "force",
    "al-stripes",
    "al-stripe-size-kB",
    "peer-max-bio-size",
    "max-peers",
  ], meta("create-md")),
  any("role", "own and peer's role", [], show("role")),
  any("cstate", "state of the connection", [], show("cstate")),
  any("dstate", "own and peer's state of the data", [], show("dstate")),
];

/** The row of a command. */
export function rowOf(name: string): CommandRow | undefined {
  return ROWS.find((row) => row.name === name);
}

function some(
  name: string,
  help: string,
  options: readonly string[],
  load: () => Promise<Action>,
): CommandRow {
  return { name, targets: "some", help, options, load };
}

function any(
  name: string,
  help: string,
  options: readonly string[],
  load: () => Promise<Action>,
): CommandRow {
  return { name, targets: "any", help, options, load };
}
