/** The configuration that `kedge volume create` writes. Pure. */

import { hostPortText } from "@kedge/schema/config/units";
import type { HostPort } from "@kedge/schema/config/units";

/** One side. */
export interface Side {
  /** Its host's name (`uname -n`). */
  readonly host: string;
  readonly address: HostPort;
  /** Path of the disk on that host. */
  readonly disk: string;
}

/** What is chosen for a new volume. */
export interface NewVolume {
  readonly name: string;
  readonly minor: number;
  readonly protocol: string;
  /** Digest that lets the two compare their copies. */
  readonly verifyAlg: string;
  /** What the two prove to one another; at most 64 characters. */
  readonly secret: string;
  readonly sides: readonly [Side, Side];
}

/** The text of `NAME.res`: drbd.conf that drbdadm of 8.4 takes as well. */
export function resText(volume: NewVolume): string {
  const sides = volume.sides.map(({ host, disk, address }) =>
    `    on ${quoted(host)} {
        disk      ${quoted(disk)};
        address   ${addressWords(address)};
    }`
  );
  return `# Written by kedge volume create. The same file belongs on both hosts, and
# nobody else may read it: it holds the secret that keeps strangers out.
resource ${quoted(volume.name)} {
    device    /dev/drbd${volume.minor};
    meta-disk internal;
    net {
        protocol   ${volume.protocol};
        verify-alg ${volume.verifyAlg};
        cram-hmac-alg sha256;
        shared-secret "${volume.secret}";
    }
${sides.join("\n")}
}
`;
}

/** The main file, where there is none yet. */
export const MAIN_FILE = `include "drbd.d/global_common.conf";
include "drbd.d/*.res";
`;

/** What is common to all resources, where there is nothing yet. */
export const COMMON_FILE = `global { usage-count no; }
common {
}
`;

function addressWords(address: HostPort): string {
  const text = hostPortText(address);
  return text.startsWith("[") ? `ipv6 ${text}` : text;
}

function quoted(text: string): string {
  return /^[A-Za-z0-9/._-]+$/.test(text)
    ? text
    : `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}
