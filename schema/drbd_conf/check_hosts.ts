/**
 * Checks that each side of a resource is complete.
 *
 * @module
 */

import type { HostSection, ResourceSection } from "./ast.ts";
import type { CheckContext } from "./check.ts";
import { endNames, linksOf } from "./connections.ts";
import { type Finding, ParseError, refusal } from "./errors.ts";
import { hostName, type HostVolume, namesOf, volumesOf } from "./inherit.ts";
import { hostLabel } from "./parse_host.ts";

/** Refuses a resource with incomplete sides, or warns. */
export function checkHosts(
  context: CheckContext,
  resource: ResourceSection,
): void {
  checkLower(context, resource);
  const findings = [
    ...resource.hosts.flatMap((host) => mixedVolumes(resource, host)),
    ...missingVolumes(resource),
    ...resource.hosts.flatMap((host) => missingWords(context, resource, host)),
  ];
  if (findings.length > 0) throw new ParseError(findings);
  for (const host of resource.hosts) warnOfVolumes(context, resource, host);
  checkConnections(context, resource);
  warnOfCount(context, resource);
}

function checkLower({ conf }: CheckContext, resource: ResourceSection): void {
  for (const { kind, lower, ...at } of resource.hosts) {
    if (kind !== "stacked") continue;
    const below = conf.resources.find(({ name }) => name === lower);
    if (below === undefined) {
      throw refusal(
        at,
        `in resource ${resource.name}, referenced resource '${lower}' not defined.`,
      );
    }
    if (below.hosts.some((host) => host.kind === "stacked")) {
      throw refusal(at, `in resource ${resource.name}: '${lower}' is stacked`);
    }
  }
}

function mixedVolumes(resource: ResourceSection, host: HostSection): Finding[] {
  const all = [...resource.volumes, ...host.volumes];
  const implicit = all.filter(({ isImplicit }) => isImplicit).length;
  if (implicit === 0 || implicit === all.length) return [];
  return [finding(
    host,
    `in resource ${resource.name}: you must not mix implicit and explicit volumes`,
  )];
}

function missingVolumes(resource: ResourceSection): Finding[] {
  const { name } = resource;
  const sides = resource.hosts.map((host) => ({
    host,
    volumes: new Set(volumesOf(resource, host).map(({ volume }) => volume)),
  }));
  return sides.flatMap(({ host, volumes }) =>
    sides.flatMap((other) => {
      const volume = volumes.values().find((own) => !other.volumes.has(own));
      if (volume === undefined) return [];
      return [finding(
        host,
        `in resource ${name}, on ${hostLabel(host)} { ... }: ` +
          `volume ${volume} not defined on ${hostLabel(other.host)}`,
      )];
    })
  );
}

function missingWords(
  context: CheckContext,
  resource: ResourceSection,
  host: HostSection,
): Finding[] {
  const volumes = volumesOf(resource, host);
  const words: string[] = [];
  if (volumes.length === 0 || volumes.some(({ device }) => !device)) {
    words.push("device");
  }
  // Without both, 9 takes it as a host without a disk.
  if (volumes.some(({ disk, metaDisk }) => !disk && metaDisk)) {
    if (host.kind !== "stacked") words.push("disk");
  }
  const isNumbered = resource.hosts.some(({ nodeId }) => nodeId !== undefined);
  if (isNumbered && host.nodeId === undefined) words.push("node-id");
  if (!hasAddresses(context, resource, host)) words.push("address");
  return words.map((word) => missing(resource, host, word));
}

function missing(
  resource: ResourceSection,
  host: HostSection,
  word: string,
): Finding {
  return finding(
    host,
    `in resource ${resource.name}, on ${hostLabel(host)} { ... }: ` +
      `'${word}' keyword missing.`,
  );
}

/** Whether every connection of the host knows where to find it. */
function hasAddresses(
  { conf }: CheckContext,
  resource: ResourceSection,
  host: HostSection,
): boolean {
  if (host.address !== undefined) return true;
  const links = linksOf(conf, resource, host);
  const names = [...namesOf(conf, host), hostName(conf, host)];
  return links.length > 0 && links.every(({ connection }) => {
    if (connection === undefined) return false;
    const written = connection.paths.map(({ ends }) => ends);
    return [...written, connection.ends].filter((ends) => ends.length > 0)
      .every((ends) =>
        ends.find((end) => names.includes(end.host))?.address !== undefined
      );
  });
}

function warnOfVolumes(
  { warnings }: CheckContext,
  resource: ResourceSection,
  host: HostSection,
): void {
  const incomplete = (word: string, more: string, refusedAtUp: boolean) => {
    const { text, ...at } = missing(resource, host, word);
    warnings.add("incomplete", { ...at, text: `${text} ${more}` }, {
      resource: resource.name,
      refusedAtUp,
    });
  };
  if (host.kind === "stacked") return;
  const volumes = volumesOf(resource, host);
  if (volumes.some(({ disk }) => disk === undefined)) {
    incomplete("disk", "Write 'disk none' if it has none.", true);
  }
  if (volumes.some(needsMetaDisk)) {
    incomplete("meta-disk", "Taken as 'internal'.", false);
  }
}

function needsMetaDisk(volume: HostVolume): boolean {
  return volume.metaDisk === undefined && volume.disk !== undefined &&
    volume.disk.value !== "none";
}

function checkConnections(
  { conf }: CheckContext,
  resource: ResourceSection,
): void {
  const known = resource.hosts.flatMap((host) => [
    ...namesOf(conf, host),
    hostName(conf, host),
  ]);
  const { meshes, connections, name } = resource;
  const named = [
    ...meshes.map(({ hosts, ...at }) => ({ at, names: hosts })),
    ...connections.map((section) => ({
      at: section,
      names: [
        ...endNames(section),
        ...section.paths.flatMap(({ ends }) => ends.map(({ host }) => host)),
      ],
    })),
  ];
  for (const { at, names } of named) {
    const unknown = names.find((host) => !known.includes(host));
    if (unknown === undefined) continue;
    throw refusal(
      at,
      `in resource ${name}: '${unknown}' is in no 'on' section`,
    );
  }
}

function warnOfCount(
  { warnings }: CheckContext,
  resource: ResourceSection,
): void {
  const { hosts, connections, meshes, name } = resource;
  const warn = (text: string) =>
    warnings.add("incomplete", { ...resource, text }, { resource: name });
  if (hosts.length === 0) {
    warn(
      `in resource ${name}:\n\ta host sections ('on HOST { ... }') is missing.`,
    );
  } else if (hosts.length === 1) {
    warn(`in resource ${name}:\n\tMissing section 'on <PEER> { ... }'.`);
  } else if (hosts.length > 2 && connections.length + meshes.length === 0) {
    warn(
      `in resource ${name}:\n\tUse explicit 'connection' sections (or a 'connection-mesh' section) with more than two 'on' sections.`,
    );
  }
}

function finding(host: HostSection, text: string): Finding {
  return { file: host.file, line: host.line, text };
}
