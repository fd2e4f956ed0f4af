/**
 * What it takes to bring a running resource to its configuration. Pure.
 *
 * Judge: `oracles/drbd/conf/adjust`.
 *
 * @module
 */

import type { ResourceConfig, VolumeConfig } from "@kedge/schema/drbd-conf";
import type { ResourceStatus } from "@kedge/schema/mirror/control-api";
import {
  metaLine,
  NOTHING_SAID,
  type SaidOptions,
  setupLine,
} from "./setup_lines.ts";

/** One step. */
export type AdjustStep =
  /** The resource does not run at all. */
  | { readonly kind: "up" }
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
export function adjustSteps(input: AdjustInput): AdjustStep[] {
  const { wanted, running, status } = input;
  if (running === undefined || status === undefined) return [{ kind: "up" }];
  const why = differences(running, wanted);
  if (why.length > 0) return [{ kind: "restart", why }];
  const diskless = status.volumes.filter(({ volume, state }) =>
    state.disk === "Diskless" &&
    wanted.volumes.find((each) => each.volume === volume)?.disk !== undefined
  );
  const isAlone = status.volumes.some(({ state }) =>
    state.connection === "StandAlone"
  );
  return [
    ...diskless.map(({ volume }) => ({ kind: "attach", volume } as const)),
    ...(isAlone ? [{ kind: "connect" } as const] : []),
  ];
}

/** What differs, as `net.timeoutMs: 6000 -> 8000`; places do not count. */
export function differences(
  running: ResourceConfig,
  wanted: ResourceConfig,
): string[] {
  const before = flat(comparable(running));
  const after = flat(comparable(wanted));
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].flatMap((name) => {
    const [old, now] = [before.get(name), after.get(name)];
    if (old === now) return [];
    // A secret is not shown, not even an old one.
    if (/secret/i.test(name)) return [`${name}: changed`];
    return [`${name}: ${old ?? "not set"} -> ${now ?? "not set"}`];
  });
}

function comparable(config: ResourceConfig) {
  // `net` of the resource stands again in each peer.
  const { definedAt: _, net: _net, startup: _startup, ...rest } = config;
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
  const steps = adjustSteps(input);
  if (running === undefined || steps.some(({ kind }) => kind === "up")) {
    return upLines(wanted, said);
  }
  const [first] = steps;
  if (first?.kind !== "restart") return steps.flatMap((step) => lineOf(step));
  return changeLines(running, wanted, said);

  function lineOf(step: AdjustStep): string[] {
    if (step.kind === "connect") {
      return [setupLine("connect", wanted, { said })];
    }
    if (step.kind !== "attach") return [];
    const volume = wanted.volumes.find((each) => each.volume === step.volume);
    return volume === undefined ? [] : attachLines(wanted, volume, said);
  }
}

function upLines(wanted: ResourceConfig, said: SaidOptions): string[] {
  return [
    setupLine("new-resource", wanted, { said }),
    ...wanted.volumes.map((volume) =>
      setupLine("new-minor", wanted, { volume, said })
    ),
    ...wanted.volumes.flatMap((volume) => attachLines(wanted, volume, said)),
    setupLine("connect", wanted, { said }),
  ];
}

function attachLines(
  wanted: ResourceConfig,
  volume: VolumeConfig,
  said: SaidOptions,
): string[] {
  if (volume.disk === undefined) return [];
  return [
    metaLine("apply-al", volume),
    setupLine("attach", wanted, { volume, said }),
  ];
}

function changeLines(
  running: ResourceConfig,
  wanted: ResourceConfig,
  said: SaidOptions,
): string[] {
  const isSame = (a: unknown, b: unknown) =>
    JSON.stringify(a) === JSON.stringify(b);
  const [oldPeer, peer] = [running.peers[0], wanted.peers[0]];
  const hasMoved = !isSame(oldPeer?.paths, peer?.paths);
  const defaults = [["set-defaults", ""]] as const;
  return [
    ...(isSame(running.options, wanted.options) ? [] : [
      setupLine("resource-options", wanted, {
        extra: [...defaults, ...said.options],
      }),
    ]),
    ...(hasMoved ? [setupLine("disconnect", running)] : []),
    ...wanted.volumes.flatMap((volume) => {
      const old = running.volumes.find((each) => each.volume === volume.volume);
      const [rates, oldRates] = [peer, oldPeer].map((each) =>
        each?.volumes.find((one) => one.volume === volume.volume)?.resync
      );
      return volumeLines(wanted, {
        old,
        volume,
        said,
        isSame: isSame(rates, oldRates),
      });
    }),
    ...running.volumes.filter(({ volume }) =>
      !wanted.volumes.some((each) => each.volume === volume)
    ).flatMap((volume) => [
      setupLine("detach", running, { volume }),
      setupLine("del-minor", running, { volume }),
    ]),
    ...(hasMoved
      ? [setupLine("connect", wanted, { said })]
      : isSame(oldPeer?.net, peer?.net)
      ? []
      : [
        setupLine("net-options", wanted, { extra: [...defaults, ...said.net] }),
      ]),
  ];
}

function volumeLines(
  wanted: ResourceConfig,
  { old, volume, said, isSame }: {
    readonly old: VolumeConfig | undefined;
    readonly volume: VolumeConfig;
    readonly said: SaidOptions;
    readonly isSame: boolean;
  },
): string[] {
  const attach = attachLines(wanted, volume, said);
  if (old === undefined) {
    return [setupLine("new-minor", wanted, { volume, said }), ...attach];
  }
  const place = ({ disk, metaDisk }: VolumeConfig) =>
    JSON.stringify([disk, metaDisk]);
  if (place(old) !== place(volume)) {
    return [setupLine("detach", wanted, { volume: old }), ...attach];
  }
  if (
    isSame && JSON.stringify(old.options) === JSON.stringify(volume.options)
  ) {
    return [];
  }
  const options = said.disk.get(volume.volume) ?? [];
  const extra = [["set-defaults", ""] as const, ...options];
  return [setupLine("disk-options", wanted, { volume, extra })];
}
