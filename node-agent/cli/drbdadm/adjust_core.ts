/**
 * What it takes to bring a running resource to its configuration. Pure.
 *
 * Judge: `oracles/drbd/conf/adjust`.
 *
 * @module
 */

import {
  type AdjustStep as ConfigStep,
  adjustSteps as configSteps,
  type ResourceConfig,
  type VolumeConfig,
} from "@kedge/schema/drbd-conf";
import type { ResourceStatus } from "@kedge/schema/mirror/control-api";
import {
  metaLine,
  NOTHING_SAID,
  type SaidOptions,
  setupLine,
} from "./setup_lines.ts";

/** One step. */
export type RunStep =
  /** The resource does not run at all. */
  | { readonly kind: "up" }
  /** The peer is reached in another way. */
  | { readonly kind: "disconnect" }
  /** The volume is on another disk. */
  | { readonly kind: "detach"; readonly volume: number }
  /** Everything that differs is taken while it runs. */
  | { readonly kind: "options" }
  | { readonly kind: "attach"; readonly volume: number }
  | { readonly kind: "connect" }
  /**
   * Something that a running resource cannot change: it is stopped and started.
   * `why` names what differs.
   */
  | { readonly kind: "restart"; readonly why: readonly string[] };

/** What was compared. */
export interface AdjustInput {
  readonly wanted: ResourceConfig;
  /** As the daemon was given it; undefined: it does not run. */
  readonly running: ResourceConfig | undefined;
  readonly status: ResourceStatus | undefined;
}

/** The steps, in order; none: everything is as it should be. */
export function adjustTo(input: AdjustInput): RunStep[] {
  const { wanted, running, status } = input;
  if (running === undefined || status === undefined) return [{ kind: "up" }];
  const why = differences(running, wanted);
  if (differences(fixed(running), fixed(wanted)).length > 0) {
    return [{ kind: "restart", why }];
  }
  const changes = configSteps(running, wanted);
  const isMoved = changes.some(({ kind }) => kind === "disconnect");
  const connections = status.volumes.map(({ state }) => state.connection);
  const isAlone = connections.includes("StandAlone");
  const isOnNet = connections.some((each) => each !== "StandAlone");
  const disks = new Map(
    status.volumes.map(({ volume, state }) => [volume, state.disk]),
  );
  const moved = changes.flatMap((step) => step.kind === "detach" ? step : [])
    .map(({ volume }) => volume);
  const absent = wanted.volumes.filter(({ volume, disk }) =>
    disk !== undefined &&
    (disks.get(volume) === "Diskless" || moved.includes(volume))
  );
  return [
    ...isMoved && isOnNet ? [{ kind: "disconnect" } as const] : [],
    ...moved.filter((volume) => disks.get(volume) !== "Diskless")
      .map((volume) => ({ kind: "detach", volume } as const)),
    ...why.length > 0 ? [{ kind: "options" } as const] : [],
    ...absent.map(({ volume }) => ({ kind: "attach", volume } as const)),
    ...isMoved || isAlone ? [{ kind: "connect" } as const] : [],
  ];
}

/** What a resource has as long as it runs. */
function fixed({ self, peers, volumes }: ResourceConfig) {
  return {
    self: { name: self.name },
    peers: peers.map(({ name }) => ({ name })),
    volumes: volumes.map(({ volume, minor, device }) => ({
      volume,
      minor,
      device,
    })),
  };
}

/** What differs, as `net.timeoutMs: 6000 -> 8000`; places do not count. */
export function differences(
  running: Comparable,
  wanted: Comparable,
): string[] {
  const before = flat(comparable(running));
  const after = flat(comparable(wanted));
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].flatMap((name) => {
    const [old, now] = [before.get(name), after.get(name)];
    if (old === now) return [];
    // A secret is not shown, not even an old one.
    const words = sectionOf(name);
    if (/secret/i.test(name)) return [`${words}: changed`];
    return [`${words}: ${old ?? "not set"} -> ${now ?? "not set"}`];
  });
}

/** Where people write it: there is one peer, and mostly one volume. */
function sectionOf(name: string): string {
  return name.replace(/^peers\.0\.net\./, "net.")
    .replace(/^volumes\.0\.options\./, "disk.");
}

/** A resource, or the part of it that is compared. */
type Comparable = Partial<Record<keyof ResourceConfig, unknown>>;

function comparable(config: Comparable) {
  // `net` of the resource stands again in each peer.
  const {
    definedAt: _,
    mainFile: _main,
    net: _net,
    startup: _startup,
    ...rest
  } = config;
  return rest;
}

function flat(value: unknown, name = ""): Map<string, string> {
  if (typeof value !== "object" || value === null) {
    return value === undefined ? new Map() : new Map([[name, String(value)]]);
  }
  const below = Object.entries(value).flatMap(([key, each]) => [
    ...flat(each, name === "" ? key : `${name}.${key}`),
  ]);
  return new Map(below);
}

/** The commands that 8.4 would run, for `-d` and `-v`. */
export function adjustLines(
  input: AdjustInput & { readonly said?: SaidOptions },
): string[] {
  const { wanted, running, said = NOTHING_SAID } = input;
  const lines = new ChangeLines(wanted, running, said);
  const steps = adjustTo(input);
  if (steps.some(({ kind }) => kind === "up")) return lines.up();
  const changes = configSteps(running, wanted);
  const isDone = (kind: string, volume?: number) =>
    changes.some((each) =>
      each.kind === kind && (!("volume" in each) || each.volume === volume)
    );
  return [
    ...new Set([
      ...changes.flatMap((step) => lines.change(step)),
      ...steps.flatMap((step) => {
        if (step.kind === "attach" && !isDone("attach", step.volume)) {
          return lines.attach(step.volume);
        }
        return step.kind === "connect" && !isDone("connect")
          ? [setupLine("connect", wanted, { said })]
          : [];
      }),
    ]),
  ];
}

const SET_DEFAULTS = ["set-defaults", ""] as const;

/** Writes single changes as commands. */
class ChangeLines {
  constructor(
    readonly wanted: ResourceConfig,
    readonly running: ResourceConfig | undefined,
    readonly said: SaidOptions,
  ) {}

  up(): string[] {
    const { wanted, said } = this;
    return [
      setupLine("new-resource", wanted, { said }),
      ...wanted.volumes.map((volume) =>
        setupLine("new-minor", wanted, { volume, said })
      ),
      ...wanted.volumes.flatMap(({ volume }) => this.attach(volume)),
      setupLine("connect", wanted, { said }),
    ];
  }

  attach(number: number): string[] {
    const { wanted, said } = this;
    const volume = wanted.volumes.find((each) => each.volume === number);
    if (volume?.disk === undefined) return [];
    return [
      metaLine("apply-al", volume),
      setupLine("attach", wanted, { volume, said }),
    ];
  }

  change(step: ConfigStep): string[] {
    const { wanted, running = wanted, said } = this;
    switch (step.kind) {
      case "disconnect":
        return [setupLine("disconnect", running)];
      case "connect":
        return [setupLine("connect", wanted, { said })];
      case "resource-options":
        return [setupLine(step.kind, wanted, {
          extra: [SET_DEFAULTS, ...said.options],
        })];
      case "net-options":
        return [setupLine(step.kind, wanted, {
          extra: [SET_DEFAULTS, ...said.net],
        })];
      case "detach":
        return this.#ofVolume(running, step.volume, (volume) => [
          setupLine("detach", running, { volume }),
        ]);
      case "attach":
        return [...this.#newMinor(step.volume), ...this.attach(step.volume)];
      case "disk-options":
      case "resync-options":
        return this.#ofVolume(wanted, step.volume, (volume) => [
          setupLine("disk-options", wanted, {
            volume,
            extra: [SET_DEFAULTS, ...said.disk.get(volume.volume) ?? []],
          }),
        ]);
    }
  }

  #newMinor(number: number): string[] {
    const { wanted, running, said } = this;
    if (running?.volumes.some(({ volume }) => volume === number)) return [];
    return this.#ofVolume(wanted, number, (volume) => [
      setupLine("new-minor", wanted, { volume, said }),
    ]);
  }

  #ofVolume(
    config: ResourceConfig,
    number: number,
    make: (volume: VolumeConfig) => string[],
  ): string[] {
    const volume = config.volumes.find((each) => each.volume === number);
    return volume === undefined ? [] : make(volume);
  }
}
