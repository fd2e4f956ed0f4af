/**
 * The `drbdsetup` and `drbdmeta` commands that 8.4's drbdadm would run: for
 * `-d`, `-v`, and the last line of a failure. Pure.
 *
 * @module
 */

import type {
  Address,
  MetaDisk,
  ResourceConfig,
  VolumeConfig,
} from "@kedge/schema/drbd-conf";

/** `--NAME=VALUE` of a section, in order. */
export type OptionPairs = readonly (readonly [name: string, value: string])[];

/** The options of a resource as the configuration says them. */
export interface SaidOptions {
  readonly options: OptionPairs;
  readonly net: OptionPairs;
  /** By volume. */
  readonly disk: ReadonlyMap<number, OptionPairs>;
}

/** No options. */
export const NOTHING_SAID: SaidOptions = {
  options: [],
  net: [],
  disk: new Map(),
};

/** `ipv4:A:PORT ipv4:B:PORT`. */
export function endsText({ self, peers }: ResourceConfig): string {
  const [path] = peers[0]?.paths ?? [];
  if (path === undefined) {
    return `${self.address === undefined ? "N/A" : endText(self.address)} N/A`;
  }
  return `${endText(path.local)} ${endText(path.remote)}`;
}

function endText({ family, ip, port }: Address): string {
  return family === "ipv6"
    ? `ipv6:\\[${ip}\\]:${port}`
    : `${family}:${ip}:${port}`;
}

/** `drbdsetup COMMAND MINOR …`, or the resource's form of it. */
export function setupLine(
  command: string,
  config: ResourceConfig,
  options: {
    readonly volume?: VolumeConfig;
    readonly said?: SaidOptions;
    readonly extra?: OptionPairs;
  } = {},
): string {
  const { said = NOTHING_SAID, extra = [] } = options;
  const volume = options.volume ?? config.volumes[0];
  const end = optionsText(extra);
  switch (command) {
    case "new-resource":
      return `drbdsetup new-resource ${config.name}` +
        optionsText(said.options) + end;
    case "new-minor":
      return `drbdsetup new-minor ${config.name} ${volume.minor} ` +
        `${volume.volume}` + end;
    case "attach":
      return `drbdsetup attach ${volume.minor} ${volume.disk ?? "none"} ` +
        metaWords(volume) +
        optionsText(said.disk.get(volume.volume) ?? []) + end;
    case "connect":
      return `drbdsetup connect ${config.name} ${endsText(config)}` +
        optionsText(said.net) + end;
    case "disconnect":
      return `drbdsetup disconnect ${endsText(config)}` + end;
    case "down":
    case "status":
    case "resource-options":
      return `drbdsetup ${command} ${config.name}` + end;
    case "net-options":
      return `drbdsetup net-options ${endsText(config)}` + end;
    default:
      return `drbdsetup ${command} ${volume.minor}` + end;
  }
}

/** `drbdmeta MINOR v08 DISK META COMMAND`. */
export function metaLine(
  command: string,
  volume: VolumeConfig,
  extra: OptionPairs = [],
): string {
  return `drbdmeta ${volume.minor} v08 ${metaPlace(volume)} ${command}` +
    optionsText(extra);
}

/** ` --NAME=VALUE` for each; a flag has no value. */
export function optionsText(pairs: OptionPairs): string {
  return pairs.map(([name, value]) =>
    value === "" ? ` --${name}` : ` --${name}=${shellWord(value)}`
  ).join("");
}

function metaWords({ disk = "none", metaDisk }: VolumeConfig): string {
  switch (metaDisk.kind) {
    case "internal":
      return `${disk} internal`;
    case "flexible":
      return `${metaDisk.path} flexible`;
    case "indexed":
      return `${metaDisk.path} ${metaDisk.index}`;
  }
}

function metaPlace(
  { disk = "none", metaDisk }: { disk: string | undefined; metaDisk: MetaDisk },
): string {
  switch (metaDisk.kind) {
    case "internal":
      return `${disk} internal`;
    case "flexible":
      return `${metaDisk.path} flex-external`;
    case "indexed":
      return `${metaDisk.path} ${metaDisk.index}`;
  }
}

/** Characters that a shell would take for itself get a backslash. */
export function shellWord(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_./:=,+@%-]/g, "\\$&");
}

/** A command for people's eyes and logs: without the shared secret. */
export function withoutSecret(line: string): string {
  return line.replaceAll(/--shared-secret=(\\.|\S)*/g, "--shared-secret=…");
}
