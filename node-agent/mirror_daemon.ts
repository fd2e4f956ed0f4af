/**
 * The composition root of a mirror daemon: the process that runs the mirrored
 * volumes of one host, with or without a tracker.
 *
 * @module
 */

import type { Log } from "./ports.ts";
import { serveControl } from "./mirror/host/control_server.ts";
import { HostDeviceNodes } from "./mirror/host/device_node.ts";
import { Takeover } from "./mirror/host/takeover.ts";
import { MirrorHost } from "./mirror/host/mirror_host.ts";
import { takeRunFolder } from "./mirror/host/run_folder.ts";
import { type FencingOptions, openFencing } from "./mirror_fencing.ts";
import { VERSION } from "./version.ts";

/** What a daemon is given. */
export interface MirrorDaemonOptions {
  /** Folder of the control socket and the export sockets. */
  readonly runDir: string;
  /** Folder for what a split brain throws away; it must outlive restarts. */
  readonly undoDir?: string;
  /** Folder where the sizes of disks are remembered; it must outlive restarts. */
  readonly sizesDir?: string;
  readonly log: Log;
  /** Module of the Workers. Default: `volume_worker.ts`. */
  readonly workerEntry?: URL | undefined;
  /** Stops the daemon in order. */
  readonly signal: AbortSignal;
  /** Called when commands are taken. */
  readonly onReady: (ready: { readonly socket: string }) => void;
  /** Trackers decide who may be Primary; missing: the two nodes alone do. */
  readonly fencing?: FencingOptions | undefined;
}

/** Name of the control socket in the run folder. */
export const CONTROL_SOCKET = "mirror.sock";

/** Name of the file with the process's number. */
const PID_FILE = "mirror.pid";

/**
 * Run until `signal` is aborted, or a command says stop.
 *
 * @throws {Deno.errors.AddrInUse} When a daemon runs in this folder already.
 */
export async function runMirrorDaemon(
  options: MirrorDaemonOptions,
): Promise<void> {
  const { runDir, log, signal } = options;
  await Deno.mkdir(runDir, { recursive: true, mode: 0o700 });
  const socket = `${runDir}/${CONTROL_SOCKET}`;
  using _folder = await takeRunFolder(runDir, socket);
  const fencing = options.fencing && await openFencing(options.fencing, log);
  const deviceNodes = new HostDeviceNodes({ runDir, log });
  const host = new MirrorHost({
    runDir,
    ...(options.undoDir === undefined ? {} : { undoDir: options.undoDir }),
    ...(options.sizesDir === undefined ? {} : { sizesDir: options.sizesDir }),
    version: VERSION,
    workerEntry: options.workerEntry ??
      new URL("./volume_worker.ts", import.meta.url),
    log,
    deviceNodes,
    registers: fencing?.registers,
  });
  const takeover = options.fencing && new Takeover(host, {
    policy: options.fencing.autoPromote ?? "off",
    log,
  });
  const control = await serveControl(host, socket);
  await Deno.writeTextFile(`${runDir}/${PID_FILE}`, `${Deno.pid}\n`);
  await deviceNodes.cleanUp();
  options.onReady({ socket: control.path });
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await Promise.race([aborted, control.stopAsked]);
  takeover?.close();
  await host.close();
  await deviceNodes.close();
  await control.close();
  await Deno.remove(`${runDir}/${PID_FILE}`).catch(() => {});
  fencing?.close();
}
