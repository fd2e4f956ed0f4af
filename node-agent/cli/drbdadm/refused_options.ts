/**
 * Options of DRBD that make no sense here: each says why, and what to do
 * instead. Pure.
 *
 * @module
 */

import { OPTION_TABLES } from "@kedge/schema/drbd-conf";

const AL_FORM =
  "the activity log keeps its form while there are data: bring the volume " +
  'down and make the metadata anew ("create-md --al-stripes"), which costs a ' +
  "full resync";
const MARKED_ONLY =
  "all blocks are copied; to copy only those that a verify has marked: " +
  '"drbdadm disconnect NAME", then "drbdadm connect NAME"';

const BY_COMMAND: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  secondary: {
    force: "requests of the application are not failed: stop what holds the " +
      "device open, then say it without --force",
  },
  detach: {
    diskless: 'a node without a disk of its own is not available: "drbdadm ' +
      'detach NAME" gives the disk up until "attach"',
  },
  invalidate: { "reset-bitmap": MARKED_ONLY },
  "invalidate-remote": { "reset-bitmap": MARKED_ONLY },
  resize: { "al-stripes": AL_FORM, "al-stripe-size-kB": AL_FORM },
  events2: {
    poll: "standard input is not read: changes are printed as they happen; " +
      '"--now" prints what there is and ends',
  },
};

/** Commands that take what the file says. */
const BY_FILE = [
  "disk-options",
  "net-options",
  "peer-device-options",
  "resource-options",
];

/** Why a command does not take an option; undefined: it is not DRBD's. */
export function whyRefused(
  command: string,
  [name, value]: readonly [name: string, value: string],
): string | undefined {
  if (!BY_FILE.includes(command)) return BY_COMMAND[command]?.[name];
  const isKnown = name === "set-defaults" ||
    Object.values(OPTION_TABLES).some((table) => table.has(name));
  return isKnown ? byFile(name, value) : undefined;
}

function byFile(name: string, value: string): string {
  const from = "options come from the configuration: ";
  if (name === "set-defaults") {
    return `${from}take them out there, then "drbdadm adjust NAME"`;
  }
  if (name === "shared-secret") { // never repeated
    return `${from}write it there on both hosts, then "drbdadm adjust NAME"`;
  }
  return `${from}write "${name} ${value};" there, then "drbdadm adjust NAME" ` +
    `(both at once: "kedge volume set NAME ${name}=${value}")`;
}
