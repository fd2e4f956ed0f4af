/**
 * Who is connected with whom, and how.
 *
 * @module
 */

import type {
  Address,
  ConnectionSection,
  DrbdConf,
  HostSection,
  PathEnd,
  ResourceSection,
  Sections,
  VolumeSection,
} from "./ast.ts";
import { netOptions, resyncOptions } from "./effective.ts";
import { refusal } from "./errors.ts";
import { hostName, namesOf, nodeIds, volumesOf } from "./inherit.ts";
import type { PathConfig, PeerConfig, PeerVolumeConfig } from "./resource.ts";

/** One connection of a host. */
export interface Link {
  /** The other side. */
  readonly peer: HostSection;
  /** `connection { … }`, unless it is implicit or of a mesh. */
  readonly connection?: ConnectionSection;
  /** `net { … }` and `disk { … }` of the connection or mesh. */
  readonly sections: Sections;
}

/**
 * Connections of a host. Without any `connection` section two hosts are
 * connected implicitly; more than two are not (as drbdadm warns).
 */
export function linksOf(
  conf: DrbdConf,
  resource: ResourceSection,
  self: HostSection,
): Link[] {
  const { connections, meshes, hosts } = resource;
  const others = hosts.filter((host) => host !== self);
  if (connections.length === 0 && meshes.length === 0) {
    const [peer, ...more] = others;
    return peer === undefined || more.length > 0
      ? []
      : [{ peer, sections: {} }];
  }
  const links = new Map<HostSection, Link>();
  for (const mesh of meshes) {
    if (!mesh.hosts.some((name) => hasName(conf, self, name))) continue;
    for (const peer of others) {
      if (!mesh.hosts.some((name) => hasName(conf, peer, name))) continue;
      links.set(peer, { peer, sections: mesh.sections });
    }
  }
  for (const connection of connections) {
    const peer = peerIn(conf, connection, { self, others });
    if (peer === undefined) continue;
    links.set(peer, { peer, connection, sections: connection.sections });
  }
  return hosts.flatMap((host) => links.get(host) ?? []);
}

/** Hosts that a connection names, without its paths' repetitions. */
export function endNames(connection: ConnectionSection): readonly string[] {
  const ends = connection.paths[0]?.ends ?? connection.ends;
  return ends.map(({ host }) => host);
}

function hasName(conf: DrbdConf, host: HostSection, name: string): boolean {
  return namesOf(conf, host).includes(name) || hostName(conf, host) === name;
}

function peerIn(
  conf: DrbdConf,
  connection: ConnectionSection,
  { self, others }: {
    readonly self: HostSection;
    readonly others: readonly HostSection[];
  },
): HostSection | undefined {
  const names = endNames(connection);
  if (!names.some((name) => hasName(conf, self, name))) return undefined;
  return others.find((host) => names.some((name) => hasName(conf, host, name)));
}

/** The peers of a host with their options. */
export function peersOf(
  conf: DrbdConf,
  resource: ResourceSection,
  self: HostSection,
): PeerConfig[] {
  const ids = nodeIds(conf, resource);
  return linksOf(conf, resource, self).map((link) => {
    const { peer, sections } = link;
    const disk = [conf.common?.disk, resource.sections.disk, sections.disk];
    const net = [conf.common?.net, resource.sections.net, sections.net];
    return {
      name: hostName(conf, peer),
      kind: peer.kind,
      nodeId: ids[resource.hosts.indexOf(peer)] ?? 0,
      address: peer.address?.value,
      paths: pathsOf(conf, { resource, self, link }),
      net: netOptions(net, disk),
      volumes: volumesOf(resource, peer).map((volume) =>
        peerVolume(conf, { resource, link, volume })
      ),
    };
  });
}

function peerVolume(
  conf: DrbdConf,
  { resource, link, volume }: {
    readonly resource: ResourceSection;
    readonly link: Link;
    readonly volume: VolumeSection;
  },
): PeerVolumeConfig {
  const own = link.connection?.volumes
    .find((candidate) => candidate.volume === volume.volume);
  return {
    volume: volume.volume,
    minor: volume.device?.value.minor ?? 0,
    hasDisk: volume.disk?.value !== "none",
    resync: resyncOptions([
      conf.common?.disk,
      resource.sections.disk,
      volume.options,
      link.sections.disk,
      own?.options,
    ]),
  };
}

function pathsOf(
  conf: DrbdConf,
  { resource, self, link }: {
    readonly resource: ResourceSection;
    readonly self: HostSection;
    readonly link: Link;
  },
): [PathConfig, ...PathConfig[]] {
  const { peer, connection } = link;
  const written = connection?.paths.map(({ ends }) => ends) ?? [];
  const ends = written.length > 0 ? written : [connection?.ends ?? []];
  const [first, ...more] = ends.map((pair) => ({
    local: endAddress(conf, { resource, host: self, ends: pair }),
    remote: endAddress(conf, { resource, host: peer, ends: pair }),
  }));
  if (first === undefined) throw refusal(resource, "no path to the peer");
  return [first, ...more];
}

function endAddress(
  conf: DrbdConf,
  { resource, host, ends }: {
    readonly resource: ResourceSection;
    readonly host: HostSection;
    readonly ends: readonly PathEnd[];
  },
): Address {
  const end = ends.find((candidate) => hasName(conf, host, candidate.host));
  const address = end?.address ?? host.address?.value;
  if (address !== undefined) {
    return end?.port === undefined ? address : { ...address, port: end.port };
  }
  const name = hostName(conf, host);
  throw refusal(
    host,
    `in resource ${resource.name}, on ${name} { ... }: 'address' keyword missing.`,
  );
}
