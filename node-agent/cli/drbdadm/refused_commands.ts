/** Commands that make no sense here: each says why, and what to do instead. */

import type { Session } from "./session.ts";

/** drbdadm's exit code for what cannot be done. */
const EXIT_REFUSED = 20;

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
