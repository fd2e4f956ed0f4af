/** Options of `kedge volume`, for all of its verbs. */

import type { OptionTable, Values } from "../args.ts";
import { RUN_DIR } from "../mirror/run_dir.ts";

/** See the module comment. */
export const VOLUME_OPTIONS = {
  "disk": {
    kind: "text",
    value: "PATH",
    help: "create: file or block device below the volume",
  },
  "size": {
    kind: "text",
    value: "SIZE",
    help: "create, init: make the file, this large, if there is none; " +
      "resize: no larger than this",
  },
  "listen": {
    kind: "text",
    value: "IP:PORT",
    help: "create: where this host waits for the peer",
  },
  "peer": {
    kind: "text",
    value: "HOST=IP:PORT",
    help: "create: name (uname -n) and address of the other host",
  },
  "peer-disk": {
    kind: "text",
    value: "PATH",
    help: "create: disk on the other host (default: as here)",
  },
  "minor": {
    kind: "text",
    value: "N",
    help: "create: number of /dev/drbdN (default: the first free one)",
  },
  "protocol": {
    kind: "text",
    value: "A|B|C",
    choices: ["A", "B", "C"],
    fallback: "C",
    help: "create: a write is done when sent, received, or on both disks",
  },
  "config": {
    kind: "text",
    value: "FILE",
    help: "drbd.conf (KEDGE_DRBD_CONF, /etc/drbd.conf)",
  },
  "host": {
    kind: "text",
    value: "NAME",
    help: "be this host (KEDGE_HOST, uname -n)",
  },
  "force": {
    kind: "flag",
    help: "promote: this copy is the good one; disconnect: do not ask the peer",
  },
  "reconnect": {
    kind: "flag",
    help: "adjust, set: take options at once that count from the next " +
      "connection on; the application waits for a moment",
  },
  "discard-my-data": {
    kind: "flag",
    help: "connect: after a split brain this side gives up what it wrote",
  },
  "assume-peer-has-space": {
    kind: "flag",
    help: "resize: without a connection; the peer's disk is large enough",
  },
  "assume-clean": {
    kind: "flag",
    help: "resize: the new room is equal on both disks; copy nothing",
  },
  "peer-status": {
    kind: "text",
    value: "FILE",
    help: 'resolve: what "kedge volume resolve NAME --json" says on the peer',
  },
  "watch": { kind: "flag", help: "verify: show it until it ends" },
  "interval": {
    kind: "text",
    value: "TIME",
    fallback: "1s",
    help: "watch: pause between two looks",
  },
  ...RUN_DIR,
} as const satisfies OptionTable;

/** What was typed. */
export type VolumeValues = Values<typeof VOLUME_OPTIONS> & {
  readonly json: boolean;
};
