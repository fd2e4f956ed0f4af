/**
 * The canonical form of a configuration, as `drbdadm dump` of 8.4 prints it:
 * older spellings translated, and each host with all it inherits from its
 * resource. Sections of DRBD 9 are printed as 9 does.
 *
 * @module
 */

import type {
  Address,
  ConnectionSection,
  Device,
  DrbdConf,
  HostSection,
  MeshSection,
  MetaDisk,
  PathEnd,
  ProxyOptions,
  ResourceSection,
  Sections,
  Setting,
  VolumeSection,
} from "./ast.ts";
import { namesOf, volumesOf } from "./inherit.ts";
import { quote, quoteName } from "./lexer.ts";
import type { SectionName } from "./options/aliases.ts";
import { GLOBAL_OPTIONS } from "./options/global.ts";
import { selfOf } from "./resolve.ts";

/** How to print. */
export interface PrintOptions {
  /** Host for the comment before each resource; none: no comments. */
  readonly host?: string;
  /** Only these resources, in this order, without `global` and `common`; all if absent. */
  readonly resources?: readonly string[];
}

/** Option sections in the order of `drbdadm dump`. */
const SECTION_ORDER: readonly SectionName[] = [
  "options",
  "net",
  "disk",
  "startup",
];

/** Values begin in this column, at least. */
const VALUE_COLUMN = 24;

const INDENT = 4;

/** Prints a configuration. */
export function printDrbdConf(
  conf: DrbdConf,
  options: PrintOptions = {},
): string {
  const out: string[] = [];
  if (options.resources === undefined) printHead(out, conf, options);
  const resources = options.resources?.flatMap((name) =>
    conf.resources.filter((each) => each.name === name)
  );
  for (const resource of resources ?? conf.resources) {
    if (options.host !== undefined) {
      out.push(...comment(conf, resource, options.host));
    }
    printResource(out, conf, resource);
    out.push("");
  }
  return out.join("\n");
}

/** `global` and `common`, which no single resource is printed with. */
function printHead(
  out: string[],
  conf: DrbdConf,
  { host }: PrintOptions,
): void {
  if (host !== undefined) out.push(`# ${conf.file}`);
  printGlobal(out, conf.global ?? []);
  if (conf.common === undefined) return;
  const { proxy, ...sections } = conf.common;
  block(out, 0, "common", () => printSections(out, INDENT, sections, proxy));
  out.push("");
}

/** Without what is the default anyway: `usage-count ask`. */
function printGlobal(out: string[], global: readonly Setting[]): void {
  const order = [...GLOBAL_OPTIONS.keys()];
  const settings = global
    .filter(({ name, values }) => name !== "usage-count" || values[0] !== "ask")
    .sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  if (settings.length === 0) return;
  block(out, 0, "global", () => {
    for (const { name, values } of settings) {
      out.push(`${" ".repeat(INDENT)}${words(name, values)};`);
    }
  });
  out.push("");
}

function comment(
  conf: DrbdConf,
  resource: ResourceSection,
  host: string,
): string[] {
  const self = selfOf(conf, resource, { host });
  const ignored = self === undefined ? "ignored" : "not ignored";
  const stacked = self?.kind === "stacked" ? "stacked" : "not stacked";
  return [
    `# resource ${quote(resource.name)} on ${host}: ${ignored}, ${stacked}`,
    `# defined at ${resource.file}:${resource.line}`,
  ];
}

function printResource(
  out: string[],
  conf: DrbdConf,
  resource: ResourceSection,
): void {
  block(out, 0, `resource ${quoteName(resource.name)}`, () => {
    for (const host of resource.ignoredOn) {
      out.push(`${" ".repeat(INDENT)}ignore-on ${quoteName(host)};`);
    }
    // Without hosts there is nobody to inherit this.
    if (resource.hosts.length === 0) {
      printVolumes(out, INDENT, resource.volumes);
    }
    for (const host of resource.hosts) printHost(out, conf, resource, host);
    for (const section of resource.connections) printConnection(out, section);
    for (const mesh of resource.meshes) printMesh(out, mesh);
    printSections(out, INDENT, resource.sections, resource.proxy);
  });
}

function printHost(
  out: string[],
  conf: DrbdConf,
  resource: ResourceSection,
  host: HostSection,
): void {
  const inner = 2 * INDENT;
  block(out, INDENT, headOf(host), () => {
    if (host.kind === "stacked") {
      const below = namesOf(conf, host).join(" ");
      out.push(`${" ".repeat(inner)}# on ${below}`);
    }
    if (host.nodeId !== undefined) {
      out.push(`${" ".repeat(inner)}node-id ${host.nodeId.value};`);
    }
    printVolumes(out, inner, volumesOf(resource, host));
    if (host.kind !== "floating" && host.address !== undefined) {
      line(out, inner, "address", addressText(host.address.value));
    }
    printSettings(out, inner, "options", host.sections.options);
    const { proxy } = host;
    if (proxy === undefined) return;
    block(out, inner, names("proxy on", proxy.hosts), () => {
      line(out, inner + INDENT, "inside", addressText(proxy.inside));
      line(out, inner + INDENT, "outside", addressText(proxy.outside));
    });
  });
}

function headOf(host: HostSection): string {
  switch (host.kind) {
    case "on":
      return names("on", host.names);
    case "stacked":
      return names("stacked-on-top-of", [host.lower ?? ""]);
    case "floating":
      return `floating ${
        host.address === undefined ? "" : addressText(host.address.value)
      }`;
  }
}

function printVolumes(
  out: string[],
  indent: number,
  volumes: readonly VolumeSection[],
): void {
  for (const volume of volumes) {
    if (volume.isImplicit) {
      printVolume(out, indent, volume);
    } else {
      block(out, indent, `volume ${volume.volume}`, () => {
        printVolume(out, indent + INDENT, volume);
      });
    }
  }
}

function printVolume(
  out: string[],
  indent: number,
  volume: VolumeSection,
): void {
  const { device, disk, metaDisk, options } = volume;
  if (device) line(out, indent, "device", deviceText(device.value));
  if (disk) line(out, indent, "disk", quoteName(disk.value));
  if (metaDisk) line(out, indent, "meta-disk", metaText(metaDisk.value));
  // Not empty: an implicit volume has none, and its host takes no section.
  if (options !== undefined && options.length > 0) {
    printSettings(out, indent, "disk", options);
  }
}

function printConnection(out: string[], section: ConnectionSection): void {
  const inner = 2 * INDENT;
  const head = section.name === undefined ? [] : [section.name];
  block(out, INDENT, names("connection", head), () => {
    for (const end of section.ends) printEnd(out, inner, end);
    for (const path of section.paths) {
      block(out, inner, "path", () => {
        for (const end of path.ends) printEnd(out, inner + INDENT, end);
      });
    }
    printSections(out, inner, section.sections, undefined);
    for (const volume of section.volumes) {
      block(out, inner, `volume ${volume.volume}`, () => {
        printSettings(out, inner + INDENT, "disk", volume.options);
      });
    }
  });
}

function printEnd(out: string[], indent: number, end: PathEnd): void {
  const where = end.address !== undefined
    ? ` address ${addressText(end.address)}`
    : end.port !== undefined
    ? ` port ${end.port}`
    : "";
  out.push(`${" ".repeat(indent)}host ${quoteName(end.host)}${where};`);
}

function printMesh(out: string[], mesh: MeshSection): void {
  const inner = 2 * INDENT;
  block(out, INDENT, "connection-mesh", () => {
    out.push(`${" ".repeat(inner)}${names("hosts", mesh.hosts)};`);
    printSections(out, inner, mesh.sections, undefined);
  });
}

function printSections(
  out: string[],
  indent: number,
  sections: Sections,
  proxy: ProxyOptions | undefined,
): void {
  for (const name of SECTION_ORDER) {
    const settings = sections[name];
    if (settings?.length) printSettings(out, indent, name, settings);
  }
  if (proxy !== undefined) printProxy(out, indent, proxy);
  if (sections.handlers?.length) {
    printSettings(out, indent, "handlers", sections.handlers);
  }
}

function printSettings(
  out: string[],
  indent: number,
  name: SectionName,
  settings: readonly Setting[] | undefined,
): void {
  if (settings === undefined) return;
  block(out, indent, name, () => {
    for (const { name, values } of settings) {
      line(out, indent + INDENT, name, ...values.map(quote));
    }
  });
}

function printProxy(out: string[], indent: number, proxy: ProxyOptions): void {
  block(out, indent, "proxy", () => {
    for (const { name, values } of proxy.settings) {
      line(out, indent + INDENT, name, ...values.map(quote));
    }
    if (proxy.plugins.length === 0) return;
    block(out, indent + INDENT, "plugin", () => {
      for (const [name = "", ...values] of proxy.plugins) {
        out.push(`${" ".repeat(indent + 2 * INDENT)}${words(name, values)};`);
      }
    });
  });
}

function deviceText({ path, minor }: Device): string {
  const words = [...path === undefined ? [] : [quote(path)], "minor", minor];
  return words.join(" ");
}

function metaText(meta: MetaDisk): string {
  switch (meta.kind) {
    case "internal":
      return "internal";
    case "indexed":
      return `${quoteName(meta.path)} [${meta.index}]`;
    case "flexible":
      return quoteName(meta.path);
  }
}

/** `ipv4 10.1.1.31:7789`, as it is written in a file. */
export function addressText({ family, ip, port }: Address): string {
  const host = ip.includes(":") ? `[${ip}]` : ip;
  return `${family} ${host}:${port}`;
}

function block(
  out: string[],
  indent: number,
  head: string,
  body: () => void,
): void {
  const space = " ".repeat(indent);
  out.push(`${space}${head} {`);
  body();
  out.push(`${space}}`);
}

/** A statement with its values in a column; short ones to the right. */
function line(
  out: string[],
  indent: number,
  name: string,
  ...values: string[]
): void {
  const space = " ".repeat(indent);
  if (values.length === 0) {
    out.push(`${space}${name};`);
    return;
  }
  const column = VALUE_COLUMN - indent;
  out.push(`${space}${name.padEnd(column)} ${values.join(" ").padStart(3)};`);
}

function names(head: string, values: readonly string[]): string {
  return [head, ...values.map(quoteName)].join(" ");
}

function words(name: string, values: readonly string[]): string {
  return [name, ...values.map(quote)].join(" ");
}
