/**
 * How a refusal is told: DRBD's lines and exit codes, then our own sentence.
 *
 * Source: drbdsetup and drbdadm of 8.4, reference §6.3 and §6.6.
 *
 * @module
 */

import type { CommandReply } from "@kedge/schema/mirror/control-api";
import { withoutSecret } from "./setup_lines.ts";
import { refusalText } from "@kedge/schema/mirror/refusal-texts";

/** Exit codes of drbdsetup, of which drbdadm gives back the highest. */
export const SETUP_EXIT = {
  ok: 0,
  usage: 1,
  lowerThanOutdated: 5,
  timeout: 5,
  configuration: 10,
  state: 11,
  noLocalDisk: 16,
  noGoodData: 17,
  other: 20,
} as const;

/** Codes that mean "done": success, nothing to do, agreed with the peer. */
export function isDone({ code }: CommandReply): boolean {
  return code >= 0 && code <= 2;
}

/** The exit code of drbdsetup for a reply. */
export function setupExit(reply: CommandReply): number {
  const { code } = reply;
  if (isDone(reply)) return SETUP_EXIT.ok;
  if (code > 100) return SETUP_EXIT.configuration;
  if (code === -2) return SETUP_EXIT.noGoodData;
  if (code === -4) return SETUP_EXIT.noLocalDisk;
  if (code === -16) return SETUP_EXIT.lowerThanOutdated;
  return code < 0 ? SETUP_EXIT.state : SETUP_EXIT.other;
}

/** What the kernel would add to a bare number. */
const KERNEL_INFO: Readonly<Record<string, string>> = {
  "disconnect 162": "unknown connection",
};

/**
 * The lines for a reply that is not "done".
 *
 * @param name Resource.
 * @param options The command and its full form of 8.4.
 */
export function refusalLines(
  name: string,
  reply: CommandReply,
  options: { readonly command: string; readonly setup: string },
): string[] {
  const { code, why } = reply;
  const exit = setupExit(reply);
  const info = KERNEL_INFO[`${options.command} ${code}`];
  return [
    code > 100
      ? `${name}: Failure: (${code}) ${refusalText(code)}`
      : code < 0
      ? `${name}: State change failed: (${code}) ${refusalText(code)}`
      : `${name}: Failure: ${why ?? "the daemon could not do it"}`,
    ...(info === undefined ? [] : ["additional info from kernel:", info]),
    ...(code === 119 ? noMetadata(name) : []),
    ...(isOnlyText(reply) ? [] : [`  ${why}`]),
    `Command '${
      withoutSecret(options.setup)
    }' terminated with exit code ${exit}`,
  ];
}

/** Whether our own sentence says no more than DRBD's text. */
function isOnlyText({ code, why }: CommandReply): boolean {
  return why === undefined || code >= 0 && code <= 100 ||
    why === refusalText(code);
}

function noMetadata(name: string): string[] {
  return [
    "",
    `\t==> Use 'drbdadm create-md ${name}' to initialize meta-data area. <==`,
    "",
  ];
}
