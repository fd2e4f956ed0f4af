/**
 * The commands of `drbdadm`, by name: what they take, and what does them.
 * Modules are loaded when they are used.
 *
 * @module
 */

import type { Session } from "./session.ts";

/** What a command is given after its name. */
export type Targets =
  /** Nothing, or words that it reads itself. */
  | "none"
  /** Resources, `RES/VOL` or `all`: at least one. */
  | "some"
  /** The same, or nothing for all. */
  | "any";

/** Does a command. Returns the exit code. */
export type Action = (session: Session) => Promise<number>;

/** Where a command is listed. */
export type Listing =
  /** `drbdadm help`. */
  | "usual"
  /** `drbdadm hidden-commands`, for scripts. */
  | "script"
  /** The same, called by the mirror itself. */
  | "handler"
  /** The same, for experts. */
  | "expert";

/** One command of drbdadm. */
export interface CommandRow {
  readonly name: string;
  readonly targets: Targets;
  readonly listing: Listing;
  /** One line. */
  readonly help: string;
  /** Options that it has, long names. */
  readonly options: readonly string[];
  /** It changes nothing: it may end when nobody reads its output. */
  readonly reads: boolean;
  load(): Promise<Action>;
}

/** `primary` takes all spellings of force. */
export const FORCES = ["force", "overwrite-data-of-peer"] as const;

/** Options of `wait-*`. */
const WAITS = [
  "wfc-timeout",
  "degr-wfc-timeout",
  "outdated-wfc-timeout",
  "wait-after-sb",
] as const;

/** Modules with a table of actions. */
const MODULES = {
  daemon: async () => (await import("./daemon_commands.ts")).COMMANDS,
  meta: async () => (await import("./meta_commands.ts")).COMMANDS,
  show: async () => (await import("./show_commands.ts")).COMMANDS,
  status: async () => (await import("./status_commands.ts")).COMMANDS,
  wait: async () => (await import("./wait_commands.ts")).COMMANDS,
  sh: async () => (await import("./sh_commands.ts")).COMMANDS,
  dump: async () => (await import("./dump_commands.ts")).COMMANDS,
  list: async () => (await import("./list_commands.ts")).COMMANDS,
  refused: async () => (await import("./refused_commands.ts")).COMMANDS,
  up: async () => {
    const { up, down } = await import("./up.ts");
    const { adjust, changeOptions } = await import("./adjust.ts");
    return {
      up,
      down,
      adjust,
      "adjust-with-progress": adjust,
      "net-options": changeOptions,
      "disk-options": changeOptions,
      "resource-options": changeOptions,
      "peer-device-options": changeOptions,
    };
  },
} as const satisfies Readonly<
  Record<string, () => Promise<Readonly<Record<string, Action>>>>
>;

/** Modules whose commands change nothing. */
const READERS: ReadonlySet<string> = new Set<keyof typeof MODULES>([
  "dump",
  "list",
  "sh",
  "show",
  "status",
]);

/** Commands of `meta` that change nothing. */
const READ_METADATA: readonly string[] = ["show-gi", "get-gi", "dump-md"];

type Row = readonly [
  name: string,
  module: keyof typeof MODULES,
  targets: Targets,
  help: string,
  options?: readonly string[],
];

const USUAL: readonly Row[] = [
  ["up", "up", "some", "start: attach and connect"],
  ["down", "up", "some", "stop: disconnect and detach"],
  ["attach", "daemon", "some", "use the disk"],
  ["detach", "daemon", "some", "give the disk up", ["force"]],
  ["connect", "daemon", "some", "look for the peer", [
    "discard-my-data",
    "tentative",
  ]],
  ["disconnect", "daemon", "some", "leave the peer", ["force"]],
  ["primary", "daemon", "some", "let people use the volume here", FORCES],
  ["secondary", "daemon", "some", "no longer"],
  [
    "invalidate",
    "meta",
    "some",
    "our data is worth nothing: copy the peer's",
    ["force"],
  ],
  [
    "invalidate-remote",
    "daemon",
    "some",
    "the peer's data is worth nothing: copy ours",
    ["force"],
  ],
  ["outdate", "meta", "some", "our data is old: never promote it"],
  ["resize", "daemon", "some", "use all of a disk that has grown", [
    "size",
    "assume-peer-has-space",
    "assume-clean",
  ]],
  ["verify", "daemon", "some", "compare both copies, block by block", [
    "start",
    "stop",
  ]],
  ["pause-sync", "daemon", "some", "hold the resync"],
  ["resume-sync", "daemon", "some", "let it go on"],
  ["adjust", "up", "some", "bring what runs to the configuration", [
    "reconnect",
  ]],
  ["adjust-with-progress", "up", "some", "the same"],
  ["net-options", "up", "some", "the same, as the file says"],
  ["disk-options", "up", "some", "the same, as the file says"],
  ["resource-options", "up", "some", "the same, as the file says"],
  ["peer-device-options", "up", "some", "the same, as the file says"],
  ["wait-connect", "wait", "some", "wait for the peer", WAITS],
  ["wait-sync", "wait", "some", "wait for the end of a resync", WAITS],
  ["wait-con-int", "wait", "any", "wait for all peers", WAITS],
  ["role", "show", "any", "own and peer's role"],
  ["cstate", "show", "any", "state of the connection"],
  ["dstate", "show", "any", "own and peer's state of the data"],
  ["status", "status", "any", "everything, as DRBD 9 shows it", [
    "verbose",
    "statistics",
    "color",
  ]],
  ["events2", "status", "any", "every change, as it happens", [
    "now",
    "timestamps",
    "statistics",
    "full",
    "diff",
  ]],
  ["dump", "dump", "any", "the configuration as it was understood"],
  ["dump-xml", "dump", "any", "the same in XML"],
  ["create-md", "meta", "some", "write metadata on the disk", [
    "force",
    "al-stripes",
    "al-stripe-size-kB",
    "peer-max-bio-size",
    "max-peers",
  ]],
  ["show-gi", "meta", "some", "generation identifiers, explained"],
  ["get-gi", "meta", "some", "generation identifiers"],
  ["dump-md", "meta", "some", "metadata as text", ["force"]],
  ["wipe-md", "meta", "some", "erase metadata", ["force"]],
  ["apply-al", "meta", "some", "after a crash: activity log into the bitmap"],
  ["help", "list", "none", "this list"],
  ["hidden-commands", "list", "none", "more commands, for scripts"],
];

const SCRIPT: readonly Row[] = [
  ["sh-nop", "sh", "none", "check the configuration, say nothing"],
  ["sh-resources", "sh", "none", "names of all resources"],
  ["sh-resource", "sh", "some", "name of the resource"],
  ["sh-mod-parms", "sh", "none", "parameters of a module"],
  ["sh-dev", "sh", "some", "device"],
  ["sh-udev", "sh", "some", "what udev's rule asks for minor-N"],
  ["sh-minor", "sh", "some", "minor number"],
  ["sh-ll-dev", "sh", "some", "disk below"],
  ["sh-md-dev", "sh", "some", "where the metadata is"],
  ["sh-md-idx", "sh", "some", "how the metadata is placed"],
  ["sh-ip", "sh", "some", "our address"],
  ["sh-status", "sh", "any", "state as variables of a shell"],
  ["sh-lr-of", "refused", "some", "lower resource"],
  ["sh-b-pri", "refused", "some", "become Primary as configured"],
  ["proxy-up", "refused", "some", "start DRBD Proxy"],
  ["proxy-down", "refused", "some", "stop DRBD Proxy"],
  ["new-resource", "refused", "some", "a part of up"],
];

const EXPERT: readonly Row[] = [
  ["sh-new-minor", "refused", "some", "a part of up"],
  ["new-minor", "refused", "some", "a part of up"],
  ["new-peer", "refused", "some", "a part of connect, in 9"],
  ["new-path", "refused", "some", "a part of connect, in 9"],
  ["del-peer", "refused", "some", "a part of disconnect, in 9"],
  ["del-path", "refused", "some", "a part of disconnect, in 9"],
  ["forget-peer", "refused", "some", "9: give up the bitmap of a peer"],
  ["suspend-io", "daemon", "some", "hold the application's requests"],
  ["resume-io", "daemon", "some", "let them go on"],
  ["set-gi", "refused", "some", "write generation identifiers"],
  ["new-current-uuid", "daemon", "some", "begin a new generation", [
    "clear-bitmap",
  ]],
  ["check-resize", "meta", "some", "let metadata follow a disk that has grown"],
];

/** Handlers that can be run by hand, with what calls them otherwise. */
const HANDLERS: readonly (readonly [name: string, help: string])[] = [
  ["before-resync-target", "a resync is about to overwrite our data"],
  ["after-resync-target", "it is done"],
  ["before-resync-source", "our data is about to be copied to the peer"],
  ["pri-on-incon-degr", "Primary without good data"],
  ["pri-lost-after-sb", "Primary, and the loser of a split brain"],
  ["fence-peer", "the peer must not become Primary"],
  ["unfence-peer", "it may again"],
  ["local-io-error", "the disk failed"],
  ["pri-lost", "Primary that should become the target of a resync"],
  ["initial-split-brain", "a split brain was found"],
  ["split-brain", "a split brain was found and not solved"],
  ["out-of-sync", "verify found differences"],
];

/** All commands. */
export const ROWS: readonly CommandRow[] = [
  ...USUAL.map((row) => rowFrom(row, "usual")),
  ...SCRIPT.map((row) => rowFrom(row, "script")),
  ...HANDLERS.map(([name, help]): CommandRow => ({
    name,
    targets: "some",
    listing: "handler",
    help,
    options: [],
    reads: false,
    load: async () => (await import("./handler_commands.ts")).handler(name),
  })),
  ...EXPERT.map((row) => rowFrom(row, "expert")),
];

/** The row of a command. */
export function rowOf(name: string): CommandRow | undefined {
  return ROWS.find((row) => row.name === name);
}

function rowFrom(
  [name, module, targets, help, options = []]: Row,
  listing: Listing,
): CommandRow {
  return {
    name,
    targets,
    listing,
    help,
    options,
    reads: READERS.has(module) || READ_METADATA.includes(name),
    async load() {
      const actions: Readonly<Record<string, Action>> = await MODULES
        [module]();
      const action = actions[name];
      if (action === undefined) throw new Error(`No action for ${name}`);
      return action;
    },
  };
}
