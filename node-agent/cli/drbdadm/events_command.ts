/** `events2`: every change, as it happens. */

import type {
  MirrorEvent,
  MirrorStatus,
} from "@kedge/schema/mirror/control-api";
import { NoDaemonError } from "../mirror_client.ts";
import { thingsOf } from "./event_things.ts";
import {
  appearLine,
  eventLines,
  type EventStyle,
  helperLine,
} from "./events_text.ts";
import { knownConfigs, wantedNames } from "./known_names.ts";
import { type NodeIds, nodeIdsOf } from "./node_ids.ts";
import type { Session } from "./session.ts";

/** Tell what exists, then every change until Ctrl-C. */
export async function events2(session: Session): Promise<number> {
  const names = wantedNames(session);
  const printer = new EventPrinter(session, names);
  const { signal } = session.context;
  if (!await session.client.isRunning()) {
    if (!session.asks("now")) throw new NoDaemonError(session.client.socket);
    printer.ready();
    return 0;
  }
  const stop = new AbortController();
  signal.addEventListener("abort", () => stop.abort(), { once: true });
  try {
    for await (const event of session.client.events(stop.signal)) {
      if (event.kind === "ready") {
        printer.begin(await session.client.status());
        printer.ready();
        if (session.asks("now")) break;
        followProgress(printer, session, stop.signal);
      } else if (event.kind === "helper") {
        printer.helper(event);
      } else if (event.kind === "resize") {
        await printer.resized(event);
      } else if (event.kind !== "exists") {
        await printer.changed(event);
      }
    }
    return 0;
  } finally {
    stop.abort();
  }
}

/** Pause between two looks at a resync that runs, in milliseconds. */
const PROGRESS_MS = 1000;

/** Progress makes no events of its own: look, until `signal` aborts. */
async function followProgress(
  printer: EventPrinter,
  session: Session,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await session.context.sleep(PROGRESS_MS, signal).catch(() => {});
    // The stream of events tells when the daemon is gone.
    if (!signal.aborted) await printer.progressed().catch(() => {});
  }
}

/** Keeps what was last told, and prints what is new. */
class EventPrinter {
  readonly #style: EventStyle;
  readonly #ids: NodeIds;
  #last: MirrorStatus = { version: "", pid: 0, resources: [] };

  constructor(
    readonly session: Session,
    readonly names: readonly string[],
  ) {
    this.#style = {
      statistics: session.asks("statistics"),
      full: session.asks("full"),
      diff: session.asks("diff"),
    };
    this.#ids = nodeIdsOf(knownConfigs(session));
  }

  begin(status: MirrorStatus): void {
    this.#last = this.#wanted(status);
    for (const thing of thingsOf(this.#last, this.#ids)) {
      this.#say(appearLine("exists", thing, this.#style));
    }
  }

  ready(): void {
    this.#say("exists -");
  }

  helper({ resource, volume, helper }: MirrorEvent): void {
    if (helper === undefined || !this.#isWanted(resource)) return;
    const peer = this.#last.resources.find((each) => each.resource === resource)
      ?.peerNode;
    const keys = {
      "name": resource,
      "peer-node-id": String(this.#ids(resource).peer),
      "conn-name": peer ?? "",
      "volume": String(volume),
    };
    this.#say(helperLine(keys, helper));
  }

  /** Tell how far a resync is, without a change of state. */
  async progressed(): Promise<void> {
    const last = this.#last;
    const runs = last.resources.some(({ volumes }) =>
      volumes.some(({ progress }) => progress !== undefined)
    );
    if (!runs) return;
    const now = this.#wanted(await this.session.client.status());
    // An event that came meanwhile knows better.
    if (this.#last === last) this.#print(lastStates(now, last));
  }

  /** A size, which is told with the statistics as in DRBD; states stay. */
  async resized(event: MirrorEvent): Promise<void> {
    if (!this.#isWanted(event.resource)) return;
    const now = this.#wanted(await this.session.client.status());
    this.#print(lastStates(now, this.#last));
  }

  /** A change of one volume keeps the others as they were told last. */
  async changed(event: MirrorEvent): Promise<void> {
    if (!this.#isWanted(event.resource)) return;
    const now = this.#wanted(await this.#statusNow());
    const { after } = event;
    if (event.kind === "change" && after !== undefined) {
      const step = withState(now, this.#last, event);
      this.#print(step);
      return;
    }
    this.#print(now);
  }

  /** A daemon that ends may answer no more: then nothing runs. */
  async #statusNow(): Promise<MirrorStatus> {
    try {
      return await this.session.client.status();
    } catch (error) {
      if (!(error instanceof NoDaemonError)) throw error;
      return { ...this.#last, resources: [] };
    }
  }

  #print(next: MirrorStatus): void {
    const ids = this.#ids;
    const lines = eventLines(
      thingsOf(this.#last, ids),
      thingsOf(next, ids),
      this.#style,
    );
    this.#last = next;
    lines.forEach((line) => this.#say(line));
  }

  #wanted(status: MirrorStatus): MirrorStatus {
    const resources = status.resources.filter(({ resource }) =>
      this.#isWanted(resource)
    );
    return { ...status, resources };
  }

  #isWanted(resource: string): boolean {
    return this.names.length === 0 || this.names.includes(resource);
  }

  #say(line: string): void {
    const at = this.session.asks("timestamps")
      ? `${timestamp(new Date())} `
      : "";
    this.session.say(at + line);
  }
}

/**
 * The status as it was at an event: its volume in the state that the event
 * tells, the others as they were told last. The counters are those of now.
 */
export function withState(
  now: MirrorStatus,
  last: MirrorStatus,
  event: MirrorEvent,
): MirrorStatus {
  const told = (resource: string, volume: number) =>
    last.resources.find((each) => each.resource === resource)
      ?.volumes.find((each) => each.volume === volume)?.state;
  const resources = now.resources.map((resource) => ({
    ...resource,
    volumes: resource.volumes.map((volume) => {
      const isIt = event.resource === resource.resource &&
        event.volume === volume.volume;
      const state = isIt ? event.after : told(resource.resource, volume.volume);
      return { ...volume, state: state ?? volume.state };
    }),
  }));
  return { ...now, resources };
}

/** What is known now, in the states that were told last. */
function lastStates(now: MirrorStatus, last: MirrorStatus): MirrorStatus {
  const resources = last.resources.map((resource) => ({
    ...resource,
    volumes: resource.volumes.map((volume) => {
      const fresh = now.resources.find((each) =>
        each.resource === resource.resource
      )?.volumes.find((each) => each.volume === volume.volume);
      return { ...volume, ...fresh, state: volume.state };
    }),
  }));
  return { ...last, resources };
}

/** ISO 8601 with microseconds and the offset of the time zone. */
export function timestamp(at: Date): string {
  const offset = -at.getTimezoneOffset();
  const local = new Date(at.getTime() + offset * 60_000).toISOString();
  const two = (value: number) =>
    String(Math.floor(Math.abs(value))).padStart(2, "0");
  return local.replace("Z", "000") + (offset < 0 ? "-" : "+") +
    `${two(offset / 60)}:${two(offset % 60)}`;
}
