/**
 * A configuration as it is written, after older spellings were translated.
 *
 * Nothing is inherited here yet: `resolve.ts` does that.
 *
 * @module
 */

import type { ConfWarning, Place } from "./errors.ts";
import type { SectionName } from "./options/aliases.ts";

/** One option of a section. */
export interface Setting extends Place {
  /** Name as in the tables. */
  readonly name: string;
  /** Its value: one word, several for a list of names, none for a flag. */
  readonly values: readonly string[];
}

/** Option sections of a resource, a host, a connection or a volume. */
export type Sections = Partial<Record<SectionName, readonly Setting[]>>;

/** Kinds of addresses. */
export type AddressFamily = "ipv4" | "ipv6" | "sdp" | "ssocks";

/** A literal IP address with a port. */
export interface Address {
  /** Kind of the address. */
  readonly family: AddressFamily;
  /** The address without brackets. */
  readonly ip: string;
  /** TCP port, 1 to 65535. */
  readonly port: number;
}

/** `device /dev/drbd1 minor 1;` */
export interface Device {
  /** Name with `/dev/`, if one was written. */
  readonly path: string | undefined;
  /** Minor number. */
  readonly minor: number;
}

/** `meta-disk …;` */
export type MetaDisk =
  /** At the end of the data disk. */
  | { readonly kind: "internal" }
  /** Slot of 128 MiB on another disk. */
  | { readonly kind: "indexed"; readonly path: string; readonly index: number }
  /** The whole of another disk. */
  | { readonly kind: "flexible"; readonly path: string };

/** A value with its place. */
export interface Placed<T> extends Place {
  /** The value. */
  readonly value: T;
}

/** What is said about one volume, on one level. */
export interface VolumeSection extends Place {
  /** Number; 0 for the implicit volume. */
  readonly volume: number;
  /** Written without `volume N { … }`. */
  readonly isImplicit: boolean;
  /** Its device. */
  readonly device?: Placed<Device>;
  /** Path of its disk; `none` for a diskless host. */
  readonly disk?: Placed<string>;
  /** Its metadata. */
  readonly metaDisk?: Placed<MetaDisk>;
  /** `disk { … }` of the volume. */
  readonly options?: readonly Setting[];
}

/** `proxy on HOST { inside A; outside A; }` of a host. */
export interface ProxySection extends Place {
  /** Hosts it runs on. */
  readonly hosts: readonly string[];
  /** Address towards DRBD. */
  readonly inside: Address;
  /** Address towards the other proxy. */
  readonly outside: Address;
  /** `options { … }`, as written. */
  readonly options?: readonly Setting[];
}

/** One side of a resource. */
export interface HostSection extends Place {
  /** How it says which host it is. */
  readonly kind: "on" | "floating" | "stacked";
  /** Host names; empty for `floating` and `stacked`. */
  readonly names: readonly string[];
  /** Resource below, for `stacked`. */
  readonly lower?: string;
  /** Address and port. */
  readonly address?: Placed<Address>;
  /** `node-id N`, if written. */
  readonly nodeId?: Placed<number>;
  /** What it says of volumes, in order. */
  readonly volumes: readonly VolumeSection[];
  /** `options { … }`. */
  readonly sections: Sections;
  /** Its proxy. */
  readonly proxy?: ProxySection;
}

/** One end of a path. */
export interface PathEnd extends Place {
  /** Host name. */
  readonly host: string;
  /** Address that replaces the host's. */
  readonly address?: Address;
  /** Port that replaces the host's. */
  readonly port?: number;
}

/** `connection { … }`: exactly two hosts. */
export interface ConnectionSection extends Place {
  /** Name, if it has one. */
  readonly name?: string;
  /** The two ends, if they stand outside of a `path`. */
  readonly ends: readonly PathEnd[];
  /** Paths of two ends each. */
  readonly paths: readonly (Place & { readonly ends: readonly PathEnd[] })[];
  /** `net { … }` and `disk { … }`. */
  readonly sections: Sections;
  /** Resync options per volume. */
  readonly volumes: readonly VolumeSection[];
}

/** `connection-mesh { hosts …; net { … } }`: everybody with everybody. */
export interface MeshSection extends Place {
  /** Host names, two or more. */
  readonly hosts: readonly string[];
  /** `net { … }` of each connection. */
  readonly sections: Sections;
}

/** Options of the proxy at a resource: names and values, with nested parts. */
export interface ProxyOptions extends Place {
  /** Plain options. */
  readonly settings: readonly Setting[];
  /** Lines of `plugin { … }`, each a list of words. */
  readonly plugins: readonly (readonly string[])[];
}

/** `resource NAME { … }`. */
export interface ResourceSection extends Place {
  /** Its name. */
  readonly name: string;
  /** Options for all of its hosts. */
  readonly sections: Sections;
  /** What all hosts have in common of the volumes. */
  readonly volumes: readonly VolumeSection[];
  /** Its hosts, in the order of the file. */
  readonly hosts: readonly HostSection[];
  /** `ignore-on HOST;` */
  readonly ignoredOn: readonly string[];
  /** Connections, in the order of the file. */
  readonly connections: readonly ConnectionSection[];
  /** Meshes, in the order of the file. */
  readonly meshes: readonly MeshSection[];
  /** `proxy { … }`. */
  readonly proxy?: ProxyOptions;
}

/** A whole configuration. */
export interface DrbdConf {
  /** The file it began with. */
  readonly file: string;
  /** Every file read, in order. */
  readonly files: readonly string[];
  /** `global { … }`, if there is one. */
  readonly global?: readonly Setting[];
  /** `common { … }`. */
  readonly common?: Sections & { readonly proxy?: ProxyOptions };
  /** Resources, in order. */
  readonly resources: readonly ResourceSection[];
  /** What the user should know, in order. */
  readonly warnings: readonly ConfWarning[];
}
