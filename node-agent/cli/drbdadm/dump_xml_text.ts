/**
 * `drbdadm dump-xml`, as 8.4 prints it. Pure.
 *
 * Source: `oracles/drbd/conf`.
 *
 * @module
 */

import type {
  DrbdConf,
  HostSection,
  ResourceSection,
  Sections,
  Setting,
  VolumeSection,
} from "@kedge/schema/drbd-conf";

/** Sections in the order in which they are printed. */
const ORDER = ["options", "net", "disk", "startup", "handlers"] as const;

/** The lines. */
export function dumpXml(
  conf: DrbdConf,
  names: readonly string[] | undefined,
): string[] {
  const { resources } = conf;
  if (names !== undefined) {
    return names.flatMap((name) =>
      resources.filter((each) => each.name === name).flatMap(resourceLines)
    );
  }
  return element("config", ` file="${escape(conf.file)}"`, [
    ...globalLines(conf.global ?? []),
    ...(conf.common === undefined
      ? []
      : element("common", "", sectionLines(conf.common))),
    ...resources.flatMap((each) => resourceLines(each)),
  ]);
}

/** Options of `global` that 8.4 prints, with the attribute of each. */
const GLOBAL_ATTRIBUTES = [
  ["minor-count", "count"],
  ["dialog-refresh", "refresh"],
] as const;

function globalLines(settings: readonly Setting[]): string[] {
  const inner = GLOBAL_ATTRIBUTES.flatMap(([name, attribute]) => {
    const value = settings.find((each) => each.name === name)?.values[0];
    return value === undefined ? [] : [`<${name} ${attribute}="${value}"/>`];
  });
  return inner.length === 0 ? [] : element("global", "", inner);
}

function resourceLines(resource: ResourceSection): string[] {
  const { name, file, line } = resource;
  const at = `${escape(file)}:${line}`;
  return element("resource", ` name="${escape(name)}" conf-file-line="${at}"`, [
    ...resource.hosts.flatMap((host) => hostLines(resource, host)),
    ...sectionLines(resource.sections),
  ]);
}

function hostLines(resource: ResourceSection, host: HostSection): string[] {
  const address = host.address?.value;
  return element("host", ` name="${escape(host.names.join(" "))}"`, [
    ...volumesIn(resource, host).flatMap(volumeLines),
    ...(address === undefined ? [] : [
      `<address family="${address.family}" port="${address.port}">` +
      `${escape(address.ip)}</address>`,
    ]),
  ]);
}

/** What the resource says of a volume holds for each host. */
function volumesIn(
  resource: ResourceSection,
  host: HostSection,
): VolumeSection[] {
  const found = new Map<number, VolumeSection>();
  for (const volume of [...resource.volumes, ...host.volumes]) {
    found.set(volume.volume, { ...found.get(volume.volume), ...volume });
  }
  return [...found.values()].sort((a, b) => a.volume - b.volume);
}

function volumeLines(volume: VolumeSection): string[] {
  const { device, disk, metaDisk } = volume;
  const meta = metaDisk?.value;
  return element("volume", ` vnr="${volume.volume}"`, [
    ...(device === undefined ? [] : [
      `<device minor="${device.value.minor}">` +
      `${escape(device.value.path ?? "")}</device>`,
    ]),
    ...(disk === undefined ? [] : [`<disk>${escape(disk.value)}</disk>`]),
    ...(meta === undefined
      ? []
      : meta.kind === "internal"
      ? ["<meta-disk>internal</meta-disk>"]
      : meta.kind === "flexible"
      ? [`<meta-disk>${escape(meta.path)}</meta-disk>`]
      : [`<meta-disk index="${meta.index}">${escape(meta.path)}</meta-disk>`]),
    ...(volume.options === undefined
      ? []
      : settingLines("disk", volume.options)),
  ]);
}

function sectionLines(sections: Sections): string[] {
  return ORDER.flatMap((name) => {
    const settings = sections[name];
    return settings === undefined ? [] : settingLines(name, settings);
  });
}

function settingLines(section: string, settings: readonly Setting[]): string[] {
  if (settings.length === 0) return [];
  return element(
    "section",
    ` name="${section}"`,
    settings.map(({ name, values }) =>
      values.length === 0
        ? `<option name="${name}"/>`
        : `<option name="${name}" value="${escape(values.join(" "))}"/>`
    ),
  );
}

function element(name: string, attributes: string, inner: string[]): string[] {
  return [
    `<${name}${attributes}>`,
    ...inner.map((line) => `    ${line}`),
    `</${name}>`,
  ];
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
