/**
 * The Worker of one mirrored resource: the composition root that joins the
 * mirror's volumes with their NBD exports, in one event loop.
 *
 * It is started with `new Worker(…, { type: "module" })` and told what to run
 * by a `start` message (`mirror/worker_messages.ts`).
 *
 * @module
 */

import type { BlockExport, BlockExports, BlockRefusal } from "./block_ports.ts";
import { Resource } from "./mirror/resource.ts";
import { VolumeDevice } from "./mirror/volume/block_device.ts";
import type {
  FromWorker,
  ResourceSpec,
  ToWorker,
  VolumeSpec,
} from "./mirror/worker_messages.ts";
import type { Volume } from "./mirror/volume/volume.ts";
import { type NbdServer, serveNbd } from "./nbd/server.ts";
import type { Log } from "./ports.ts";

interface WorkerPort {
  postMessage(message: FromWorker): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  close(): void;
}

const port = globalThis as unknown as WorkerPort;

/** The exports of one resource: `RESOURCE` for volume 0, `RESOURCE/N` for all. */
class ResourceExports implements BlockExports {
  readonly #resource: Resource;
  readonly #closers = new Map<number, Set<() => void>>();
  readonly #devices = new Map<number, VolumeDevice>();

  constructor(resource: Resource) {
    this.#resource = resource;
    for (const { spec, volume, parted } of resource.volumes()) {
      this.#devices.set(spec.volume, new VolumeDevice(volume, parted));
    }
  }

  list(): readonly { readonly name: string; readonly description: string }[] {
    return this.#resource.volumes().map(({ spec, volume }) => ({
      name: this.#nameOf(spec),
      description: describe(spec, volume),
    }));
  }

  find(name: string): BlockExport | BlockRefusal | undefined {
    const found = this.#lookUp(name);
    if (found === undefined) return undefined;
    const { spec, volume } = found;
    const device = this.#devices.get(spec.volume);
    const { role } = volume.core.state;
    if (device === undefined) return undefined;
    if (role !== "Primary") {
      return {
        why: `${this.#nameOf(spec)} is ${role} here: promote it first ` +
          `(drbdadm primary ${this.#resource.spec.resource})`,
      };
    }
    return {
      name: this.#nameOf(spec),
      description: describe(spec, volume),
      readOnly: false,
      multiConn: true,
      device,
      minimumBlockBytes: 1,
      preferredBlockBytes: 4096,
    };
  }

  open(name: string, close: () => void): (() => void) | BlockRefusal {
    const found = this.find(name);
    const place = this.#lookUp(name);
    if (found === undefined || place === undefined) {
      return { why: `There is no export "${name}"` };
    }
    if ("why" in found) return found;
    const { volume: number } = place.spec;
    const closers = this.#closers.get(number) ?? new Set();
    this.#closers.set(number, closers.add(close));
    this.#resource.opened(number, 1);
    return () => {
      if (closers.delete(close)) this.#resource.opened(number, -1);
    };
  }

  /** End every client of a volume: it is no longer Primary. */
  closeAll(number: number): void {
    for (const close of this.#closers.get(number) ?? []) close();
  }

  #lookUp(name: string): { spec: VolumeSpec; volume: Volume } | undefined {
    const { resource } = this.#resource.spec;
    const volumes = this.#resource.volumes();
    if (name === "" || name === resource) return volumes[0];
    return volumes.find(({ spec }) =>
      name === `${resource}/${spec.volume}` || name === spec.device
    );
  }

  #nameOf(spec: VolumeSpec): string {
    const { resource } = this.#resource.spec;
    const isOnly = this.#resource.volumes().length === 1;
    return isOnly ? resource : `${resource}/${spec.volume}`;
  }
}

function describe(spec: VolumeSpec, volume: Volume): string {
  const { role, disk, peerDisk } = volume.core.state;
  return `${spec.device} ${role} ${disk}/${peerDisk}`;
}

/** Everything that runs in this Worker. */
class Life {
  readonly resource: Resource;
  readonly #server: NbdServer;

  constructor(spec: ResourceSpec, turns: Int32Array | undefined) {
    this.resource = new Resource(spec, (message) => {
      port.postMessage(message);
      if (message.type !== "changed") return;
      const { before, after, volume } = message;
      if (before.role === "Primary" && after.role !== "Primary") {
        exports.closeAll(volume);
      }
    }, turns);
    const exports = new ResourceExports(this.resource);
    this.#server = serveNbd({ listen: spec.listen, exports, log: workerLog });
  }

  async end(): Promise<void> {
    await this.#server.close();
    this.resource.close();
  }
}

const workerLog: Log = {
  info: (text, more) => say("info", text, more),
  warn: (text, more) => say("warn", text, more),
};

function say(
  level: "info" | "warn" | "error",
  text: string,
  more: unknown,
): void {
  const details = more === undefined ? "" : ` ${JSON.stringify(more)}`;
  port.postMessage({ type: "log", level, text: `${text}${details}` });
}

let life: Life | undefined;

port.onmessage = ({ data }) => {
  switch (data.type) {
    case "start":
      try {
        life = new Life(data.spec, data.turns);
        port.postMessage({ type: "ready" });
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        port.postMessage({ type: "failed", why });
      }
      return;
    case "stop": {
      const { id } = data;
      const ended = life?.end() ?? Promise.resolve();
      ended.finally(() => {
        port.postMessage({ type: "stopped", id });
        port.close();
      });
      return;
    }
    default:
      life?.resource.hear(data);
  }
};
