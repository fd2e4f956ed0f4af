/**
 * An NBD server with devices in memory, in the test's own process.
 *
 * @module
 */

import type { NbdLimits } from "../../node-agent/nbd/limits.ts";
import { type NbdServer, serveNbd } from "../../node-agent/nbd/server.ts";
import { type TestExport, TestExports } from "./nbd_file_exports.ts";
import { MemoryDevice } from "./nbd_memory_device.ts";
import { RawNbd } from "./nbd_raw.ts";

/** Size of the usual device, in bytes. */
export const RIG_BYTES: number = 4 * 1024 * 1024;

/** A running server and what is behind it. */
export interface NbdRig extends AsyncDisposable {
  readonly server: NbdServer;
  readonly addr: Deno.Addr;
  /** Behind the export "disk", which is the default. */
  readonly device: MemoryDevice;
  readonly exports: TestExports;
  /** Lines of the log. */
  readonly lines: string[];
}

/** How to make one. */
export interface NbdRigOptions {
  readonly limits?: Partial<NbdLimits>;
  /** Exports beside "disk", "read-only" and "refused". */
  readonly more?: readonly TestExport[];
  readonly device?: MemoryDevice;
  readonly disk?: Partial<TestExport>;
}

/** Why the export "refused" is refused. */
export const REFUSAL = "refused is Secondary on this host; promote it first";

/** Start a server on a loopback port. */
export function startRig(options: NbdRigOptions = {}): NbdRig {
  const device = options.device ?? new MemoryDevice(RIG_BYTES);
  const exports = new TestExports([
    { name: "disk", device, description: "a disk in memory", ...options.disk },
    { name: "read-only", device, readOnly: true, multiConn: false },
    { name: "refused", device, refusal: REFUSAL },
    ...options.more ?? [],
  ]);
  const lines: string[] = [];
  const note = (message: string, facts?: Record<string, unknown>) => {
    lines.push(`${message} ${JSON.stringify(facts ?? {})}`);
  };
  const server = serveNbd({
    listen: { hostname: "127.0.0.1", port: 0 },
    exports,
    limits: { closeGraceMs: 50, ...options.limits },
    log: { info: note, warn: note },
  });
  return {
    server,
    addr: server.addr,
    device,
    exports,
    lines,
    async [Symbol.asyncDispose]() {
      device.rule = () => 0;
      device.answerAll();
      await server.close();
    },
  };
}

/** A client in transmission. */
export async function enter(rig: NbdRig, name = "disk"): Promise<RawNbd> {
  const client = await RawNbd.greet(rig.addr);
  await client.go(name);
  return client;
}
