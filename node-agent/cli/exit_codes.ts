/**
 * What the exit code of `kedge` means. The same for every command, so that a
 * script can tell "try again" from "do not".
 *
 * @module
 */

/** Exit codes by name. */
export const EXIT = {
  ok: 0,
  failed: 1,
  misused: 2,
  partly: 3,
  unreachable: 4,
  notFound: 5,
  refused: 6,
  interrupted: 130,
} as const;

/** The name of an exit code. */
export type ExitName = keyof typeof EXIT;

/** What each exit code means, for help texts. */
export const EXIT_MEANINGS: Readonly<Record<ExitName, string>> = {
  ok: "done",
  failed: "failed; the message says why and what to do next",
  misused: "the command line is wrong; nothing was done",
  partly: "some of the files or nodes failed, the others are done",
  unreachable: "no tracker or agent answered",
  notFound: "there is no such file, node or group",
  refused: "the key does not allow this",
  interrupted: "stopped by Ctrl-C",
};
