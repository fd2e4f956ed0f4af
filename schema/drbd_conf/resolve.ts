/**
 * From a parsed configuration to a resource as one host sees it.
 *
 * @module
 */

import type { DrbdConf, HostSection, ResourceSection } from "./ast.ts";
import { peersOf } from "./connections.ts";
import {
  diskOptions,
  handlerCommands,
  type Levels,
  netOptions,
  resourceOptions,
  startupOptions,
} from "./effective.ts";
import { ParseError, refusal } from "./errors.ts";
import {
  hostName,
  type HostVolume,
  META_DISK_FALLBACK,
  namesOf,
  nodeIds,
  volumesOf,
} from "./inherit.ts";
import type { SectionName } from "./options/aliases.ts";
import type { ResourceConfig, VolumeConfig } from "./resource.ts";

/** Which host is meant. */
export interface HostIdentity {
  /** Host name (`uname -n`), or the name given with `--host`. */
  readonly host: string;
  /** IP addresses of this host, to find itself among `floating` sides. */
  readonly addresses?: readonly string[];
}

/** Which resource of which host. */
export interface ResolveOptions extends HostIdentity {
  /** Name of the resource. */
  readonly resourceName: string;
}

/** There is no such resource for this host; not an error of the file. */
export class NotDefinedError extends Error {
  override readonly name = "NotDefinedError";
  /** Exit code for a command that gives up because of it (as drbdadm's). */
  readonly exitCode = 1;

  /** Says that this name is not defined. */
  constructor(resourceName: string) {
    super(`'${resourceName}' not defined in your config (for this host).`);
  }
}

/** Names of the resources of this host, in the order of the files. */
export function resourcesOn(conf: DrbdConf, identity: HostIdentity): string[] {
  return conf.resources
    .filter((resource) => selfOf(conf, resource, identity) !== undefined)
    .map(({ name }) => name);
}

/**
 * The resource with everything inherited and converted.
 *
 * Throws {@linkcode NotDefinedError} when this host has no such resource, and
 * {@linkcode ParseError} for values that only the running system refuses.
 */
export function resolveResource(
  conf: DrbdConf,
  options: ResolveOptions,
): ResourceConfig {
  const { resourceName } = options;
  const resource = conf.resources.find(({ name }) => name === resourceName);
  const self = resource && selfOf(conf, resource, options);
  if (resource === undefined || self === undefined) {
    throw new NotDefinedError(resourceName);
  }
  refuseLateErrors(conf, resourceName);
  return buildConfig(conf, resource, self);
}

/** The side of a resource that is this host. */
export function selfOf(
  conf: DrbdConf,
  resource: ResourceSection,
  identity: HostIdentity,
): HostSection | undefined {
  if (resource.ignoredOn.includes(identity.host)) return undefined;
  return resource.hosts.find((host) =>
    host.kind === "floating"
      ? identity.addresses?.includes(host.address?.value.ip ?? "")
      : namesOf(conf, host).includes(identity.host)
  );
}

function refuseLateErrors(conf: DrbdConf, resourceName: string): void {
  const findings = conf.warnings.filter((warning) =>
    warning.refusedAtUp &&
    (warning.resource === undefined || warning.resource === resourceName)
  );
  if (findings.length > 0) throw new ParseError(findings);
}

function buildConfig(
  conf: DrbdConf,
  resource: ResourceSection,
  self: HostSection,
): ResourceConfig {
  const ids = nodeIds(conf, resource);
  const [first, ...more] = volumesOf(resource, self)
    .map((volume) => buildVolume(conf, { resource, self, volume }));
  if (first === undefined) {
    throw refusal(self, `in resource ${resource.name}: no volume is defined`);
  }
  return {
    name: resource.name,
    definedAt: { file: resource.file, line: resource.line },
    mainFile: conf.file,
    self: {
      name: hostName(conf, self),
      kind: self.kind,
      nodeId: ids[resource.hosts.indexOf(self)] ?? 0,
      address: self.address?.value,
    },
    peers: peersOf(conf, resource, self),
    volumes: [first, ...more],
    net: netOptions(
      levels(conf, resource, "net"),
      levels(conf, resource, "disk"),
    ),
    options: resourceOptions([
      ...levels(conf, resource, "options"),
      self.sections.options,
    ]),
    startup: startupOptions(levels(conf, resource, "startup")),
    handlers: handlerCommands(levels(conf, resource, "handlers")),
  };
}

function levels(
  conf: DrbdConf,
  resource: ResourceSection,
  section: SectionName,
): Levels {
  return [conf.common?.[section], resource.sections[section]];
}

function buildVolume(
  conf: DrbdConf,
  { resource, self, volume }: {
    readonly resource: ResourceSection;
    readonly self: HostSection;
    readonly volume: HostVolume;
  },
): VolumeConfig {
  const device = volume.device?.value;
  if (device === undefined) {
    throw refusal(volume, `in resource ${resource.name}: 'device' is missing`);
  }
  const disk = self.kind === "stacked"
    ? lowerDevice(conf, self, volume.volume)
    : volume.disk?.value;
  return {
    volume: volume.volume,
    minor: device.minor,
    device: device.path ?? `/dev/drbd${device.minor}`,
    disk: disk === "none" ? undefined : disk,
    metaDisk: volume.metaDisk?.value ?? META_DISK_FALLBACK,
    options: diskOptions([
      ...levels(conf, resource, "disk"),
      volume.options,
    ]),
  };
}

/** The disk of a stacked volume is the device of the resource below. */
function lowerDevice(
  conf: DrbdConf,
  self: HostSection,
  volume: number,
): string | undefined {
  const lower = conf.resources.find(({ name }) => name === self.lower);
  const host = lower?.hosts[0];
  if (lower === undefined || host === undefined) return undefined;
  const device = volumesOf(lower, host)
    .find((candidate) => candidate.volume === volume)?.device?.value;
  if (device === undefined) return undefined;
  return device.path ?? `/dev/drbd${device.minor}`;
}
