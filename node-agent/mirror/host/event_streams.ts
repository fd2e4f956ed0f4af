/**
 * Streams of events for commands that follow a host (`events2`, `watch`).
 *
 * A reader that does not read is let go, so that its events do not pile up here.
 * All streams end with the daemon: it waits for nobody's terminal.
 *
 * @module
 */

import type {
  MirrorEvent,
  MirrorStatus,
} from "@kedge/schema/mirror/control-api";

/** Bytes that may wait for one reader: some thousand events. */
const WAITING_BYTES_MAX = 1024 * 1024;

/** What is needed of the host. */
export interface EventSource {
  /** Hear every event, until the returned function is called. */
  listen(listener: (event: MirrorEvent) => void): () => void;
  status(): Promise<Pick<MirrorStatus, "resources">>;
}

/** See the module comment. */
export class EventStreams {
  readonly #ends = new Set<() => void>();

  constructor(readonly host: EventSource) {}

  /** One line per event, from now on; first what exists. */
  open(): ReadableStream<Uint8Array> {
    const { host } = this;
    const ends = this.#ends;
    let forget = () => {};
    return new ReadableStream<Uint8Array>({
      async start(controller) {
        const encoder = new TextEncoder();
        const say = (event: MirrorEvent | { kind: "ready" }) => {
          if (!ends.has(end)) return;
          if ((controller.desiredSize ?? 0) <= 0) {
            forget();
            return controller.error(new Error("the events are not read"));
          }
          controller.enqueue(encoder.encode(`${JSON.stringify(event)}\n`));
        };
        const unlisten = host.listen(say);
        const end = () => {
          forget();
          controller.close();
        };
        forget = () => {
          ends.delete(end);
          unlisten();
        };
        ends.add(end);
        await host.status().then(
          (status) => tellExisting(status, say),
          (error) => {
            forget();
            controller.error(error);
          },
        );
      },
      cancel: () => forget(),
    }, new ByteLengthQueuingStrategy({ highWaterMark: WAITING_BYTES_MAX }));
  }

  /** End them all. */
  close(): void {
    for (const end of [...this.#ends]) end();
  }
}

function tellExisting(
  { resources }: Pick<MirrorStatus, "resources">,
  say: (event: MirrorEvent | { kind: "ready" }) => void,
): void {
  for (const { resource, volumes } of resources) {
    for (const { volume, state } of volumes) {
      const atMs = Date.now();
      say({ atMs, resource, volume, kind: "exists", after: state });
    }
  }
  say({ kind: "ready" });
}
