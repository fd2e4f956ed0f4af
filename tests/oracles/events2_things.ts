/**
 * The things of the golden events2 lines, and scripts of what happens to them.
 *
 * @module
 */

import {
  appearLine,
  changeLine,
  destroyLine,
  eventLines,
  type EventStyle,
  type Fields,
  helperLine,
  type Thing,
} from "../../node-agent/cli/drbdadm/events_text.ts";
import { promotionOf } from "../../node-agent/cli/drbdadm/nine_words.ts";

const RESOURCE = { name: "some-resource" };
const PEER = { ...RESOURCE, "peer-node-id": "1", "conn-name": "some-peer" };

/** As it is created. */
export const resource: Thing = {
  type: "resource",
  keys: RESOURCE,
  fields: {
    "role": "Secondary",
    "suspended": "no",
    "force-io-failures": "no",
    "write-ordering": "none",
    "may_promote": "no",
    "promotion_score": "0",
  },
};
/** As it is created. */
export const device: Thing = {
  type: "device",
  keys: { ...RESOURCE, volume: "0", minor: "1000" },
  fields: {
    "backing_dev": "none",
    "disk": "Diskless",
    "client": "no",
    "open": "no",
    "quorum": "yes",
    "size": "5",
    "read": "10",
    "written": "15",
    "al-writes": "40",
    "bm-writes": "50",
    "upper-pending": "60",
    "lower-pending": "70",
    "al-suspended": "no",
    "blocked": "no",
  },
};
/** As it is created. */
export const connection: Thing = {
  type: "connection",
  keys: PEER,
  fields: {
    "connection": "StandAlone",
    "role": "Unknown",
    "congested": "no",
    "ap-in-flight": "10",
    "rs-in-flight": "20",
  },
};
/** As it is created. */
export const peerDevice: Thing = {
  type: "peer-device",
  keys: { ...PEER, volume: "0" },
  fields: {
    "replication": "Off",
    "peer-disk": "DUnknown",
    "peer-client": "no",
    "resync-suspended": "no",
    "received": "5",
    "sent": "10",
    "out-of-sync": "0",
    "pending": "30",
    "unacked": "40",
  },
};
/** As it is created. */
export const path: Thing = {
  type: "path",
  keys: {
    ...PEER,
    local: "ipv4:1.2.3.4:7789",
    peer: "ipv4:5.6.7.8:7790",
  },
  fields: { established: "no" },
};
/** Everything of one volume. */
export const ALL: readonly Thing[] = [
  resource,
  device,
  connection,
  peerDevice,
  path,
];

/** What {@linkcode withFields} gives a device that has a disk. */
export const ATTACHED: Fields = {
  "backing_dev": "/dev/sda",
  "disk": "UpToDate",
};

/** The device of volume 1. */
export const second: Thing = {
  ...device,
  keys: { ...device.keys, volume: "1", minor: "1001" },
};

/** A thing with other values. */
export function withFields(thing: Thing, fields: Fields): Thing {
  return { ...thing, fields: { ...thing.fields, ...fields } };
}

/** The resource as it follows from everything else. */
export function derived(
  devices: readonly Thing[],
  { role = "Secondary", peerRole = "Unknown", peerDisk = "DUnknown" } = {},
): Thing {
  const { mayPromote, score } = promotionOf({
    volumes: devices.map(({ fields }) => ({
      state: { role, peerRole, peerDisk, disk: fields["disk"] ?? "" },
    })),
  });
  return withFields(resource, {
    "role": role,
    "may_promote": mayPromote ? "yes" : "no",
    "promotion_score": String(score),
  });
}

/** A script: what is told, one after the other. */
export class Script {
  readonly lines: string[] = [];
  #things: readonly Thing[] = [];

  constructor(readonly style: EventStyle) {}

  /** What was there before, and the end of that. */
  exists(...things: Thing[]): void {
    this.#things = things;
    for (const thing of things) {
      this.lines.push(appearLine("exists", thing, this.style));
    }
    this.lines.push("exists -");
  }

  /** What there is from now on: whatever is new, other or gone is told. */
  now(...things: Thing[]): void {
    this.lines.push(...eventLines(this.#things, things, this.style));
    this.#things = things;
  }

  /** A handler is called, and has ended. */
  helper(name: string, status: number): void {
    const keys = { ...PEER, volume: "0" };
    this.lines.push(helperLine(keys, { name }));
    this.lines.push(helperLine(keys, { name, status }));
  }

  create(...things: Thing[]): void {
    for (const thing of things) {
      this.lines.push(appearLine("create", thing, this.style));
    }
  }

  /** Change a thing; returns it as it is then. */
  change(thing: Thing, fields: Fields): Thing {
    const after = { ...thing, fields: { ...thing.fields, ...fields } };
    const line = changeLine(thing, after, this.style);
    if (line !== undefined) this.lines.push(line);
    return after;
  }

  destroy(...things: Thing[]): void {
    this.lines.push(...things.map(destroyLine));
  }
}
