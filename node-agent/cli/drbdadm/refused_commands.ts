/** Commands that make no sense here: each says why, and what to do instead. */

import type { Session } from "./session.ts";

/** drbdadm's exit code for what cannot be done. */
const EXIT_REFUSED = 20;

const PART_OF_CONNECT =
  'a part of connect, which 9 has apart: "drbdadm connect NAME"';
const PART_OF_DISCONNECT =
  'a part of disconnect, which 9 has apart: "drbdadm disconnect NAME"';

const REASONS = {
  "sh-lr-of": "stacked resources are not available: a volume has two nodes",
  "sh-b-pri": "become-primary-on is not acted on by a script: promote with " +
    '"drbdadm primary NAME"',
  "proxy-up": "there is no DRBD Proxy here; for a slow line use protocol A " +
    "with on-congestion",
  "proxy-down": "there is no DRBD Proxy here",
  "new-resource": 'parts of up cannot be run alone: "drbdadm up NAME"',
  "sh-new-minor": 'parts of up cannot be run alone: "drbdadm up NAME"',
  "new-minor": 'parts of up cannot be run alone: "drbdadm up NAME"',
  "new-peer": PART_OF_CONNECT,
  "new-path": PART_OF_CONNECT,
  "del-peer": PART_OF_DISCONNECT,
  "del-path": PART_OF_DISCONNECT,
  "forget-peer": "a volume has two nodes: its metadata has one bitmap, and " +
    "that is for whoever the configuration names as the peer",
  "set-gi": "generation identifiers are not written by hand: they decide " +
    'whose data is overwritten; see "drbdadm invalidate" and ' +
    '"drbdadm new-current-uuid"',
} as const;

/** Actions by name. */
export const COMMANDS = Object.fromEntries(
  Object.entries(REASONS).map(([name, why]) => [
    name,
    (session: Session) => {
      session.warn(`drbdadm ${name}: ${why}`);
      return Promise.resolve(EXIT_REFUSED);
    },
  ]),
) as Readonly<
  Record<keyof typeof REASONS, (session: Session) => Promise<number>>
>;
