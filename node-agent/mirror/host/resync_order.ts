/**
 * Tells the Workers of a host whose resync has to wait (`resync-after`): each
 * knows its own resource only.
 *
 * @module
 */

import type { MirrorEvent } from "@kedge/schema/mirror/control-api";
import type { ResourceConfig } from "@kedge/schema/drbd-conf";
import type { Log } from "../../ports.ts";
import {
  circleMembers,
  dependencyChanges,
  isInCircle,
  type OrderedState,
  volumeKey,
} from "./resync_order_core.ts";

/** DRBD's code for a circle of `resync-after`. */
const CIRCLE = 133;

/** What is needed of the host. */
export interface OrderedHost {
  configOf(resource: string): ResourceConfig | undefined;
  /** Let a volume wait for another one, or no longer. */
  pauseForOther(resource: string, volume: number, waits: boolean): void;
  readonly options: { readonly log: Pick<Log, "warn"> };
}

interface Known {
  readonly resource: string;
  readonly volume: number;
  readonly state: OrderedState;
}

/** See the module comment. */
export class ResyncOrder {
  readonly #known = new Map<string, Known>();
  #toldCircle = "";

  constructor(readonly host: OrderedHost) {}

  /** Why a configuration cannot be taken beside what runs; undefined: it can. */
  refusal(
    config: ResourceConfig,
  ): { readonly code: number; readonly why: string } | undefined {
    const configOf = (name: string) =>
      name === config.name ? config : this.host.configOf(name);
    const afterOf = (key: string) => {
      const at = key.lastIndexOf("/");
      return afterIn(configOf(key.slice(0, at)), Number(key.slice(at + 1)));
    };
    for (const { volume } of config.volumes) {
      const key = volumeKey(config.name, volume);
      if (!isInCircle(key, afterOf)) continue;
      const why = `resync-after of ${key} leads back to it: remove one of them`;
      return { code: CIRCLE, why };
    }
    return undefined;
  }

  /** Something happened to a volume. */
  heard({ resource, volume, kind, after }: MirrorEvent): void {
    const key = volumeKey(resource, volume);
    if (kind === "destroy") this.#known.delete(key);
    else if (after !== undefined) {
      this.#known.set(key, { resource, volume, state: after });
    } else return;
    this.settle();
  }

  /** A resource is gone, without a word. */
  forget(resource: string): void {
    for (const [key, known] of this.#known) {
      if (known.resource === resource) this.#known.delete(key);
    }
    this.settle();
  }

  /** Tell everybody whose pause is not as it should be. */
  settle(): void {
    const volumes = [...this.#known].map(([key, known]) => ({
      key,
      state: known.state,
      after: afterIn(this.host.configOf(known.resource), known.volume),
    }));
    this.#tellOfCircles(circleMembers(volumes).join(", "));
    for (const [key, waits] of dependencyChanges(volumes)) {
      const known = this.#known.get(key);
      if (known === undefined) continue;
      this.host.pauseForOther(known.resource, known.volume, waits);
    }
  }

  /** Two that start at once are each refused nothing. */
  #tellOfCircles(circle: string): void {
    if (circle === this.#toldCircle) return;
    this.#toldCircle = circle;
    if (circle === "") return;
    this.host.options.log.warn(
      `resync-after of ${circle} leads in a circle: none of them waits. ` +
        'Remove one of the lines, then "drbdadm adjust all"',
    );
  }
}

function afterIn(
  config: ResourceConfig | undefined,
  volume: number,
): string | undefined {
  const first = config?.volumes.find((each) => each.volume === volume)
    ?.options.resyncAfter;
  return first == null ? undefined : volumeKey(first.resource, first.volume);
}
